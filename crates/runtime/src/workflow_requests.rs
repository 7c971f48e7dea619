//! The topic of requests to workflows: carries out what transactions asked of the workflow engine.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{DecodeError, EncodeError, Limits, TaskEnvelope};
use aftercommit_domain::events::OutboxMessage;
use aftercommit_domain::failure::{Classified, ErrorClass};
use aftercommit_domain::tasks::{Outcome, Reason, Stop, TaskContext, TaskResult};
use aftercommit_domain::time;
use aftercommit_domain::unit_of_work::UnitOfWorkFactory;
use aftercommit_domain::workflows::{
    SIGNAL_TASK, SIGNAL_WITH_START_TASK, START_TASK, WORKFLOW_REQUESTS_TOPIC, WorkflowRequest, WorkflowRequestError,
    WorkflowStartError, WorkflowStarter,
};
use async_trait::async_trait;
use tokio::time::timeout;

use crate::worker::{EnvelopeHandler, Topic};

/// The longest one request may take. An engine that hangs is away, which must not look like a request's own fault.
const DEADLINE: Duration = Duration::from_secs(10);
/// The shortest and the longest wait for an engine that is away.
const WAIT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(1));
/// How often a signal may be early before it is given up because its workflow does not run: a start takes a way of its own when
/// a route made it, and may be behind. Its waits are five minutes and one more, which lets a start of the last moment pass. Only
/// the engine's answers count: what takes long because the engine, the workers or the relay were away uses up nothing.
const EARLY: u32 = 33;
/// The shortest and the longest wait of a signal that is early. What comes behind it waits with it, so it is short.
const EARLY_WAIT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));

/// The topic `workflow-requests`, whose tasks [`WorkflowOutboxExt`](aftercommit_domain::workflows::WorkflowOutboxExt) writes,
/// with the handler that passes them on to `starter`.
///
/// A request that comes again changes nothing: the engine knows its id as long as it knows the run, and the inbox afterwards;
/// [`WorkflowStarter`] says of which signal the engine does not.
/// While the engine is away a request waits, twice as long each time up to a minute, and no attempt is counted; an error of the
/// engine's own costs attempts, and then the request is a dead letter with the engine's words. A start whose id is taken ends
/// as skipped; whatever else the engine refuses for good is a dead letter with its code. A signal whose workflow does not run
/// goes back behind what was asked of that workflow meanwhile, as a task of its own, for five minutes from the engine's first
/// answer, in which an outage does not count; its own task ends as skipped and names that one. Then it ends as skipped,
/// `workflow.over`, when the workflow ran and has closed: it came too late, which nobody can mend. Where none ever ran it is a
/// dead letter. A signal that went back may be told after later ones.
pub fn workflow_requests_topic(starter: Arc<dyn WorkflowStarter>, units_of_work: Arc<dyn UnitOfWorkFactory>) -> Topic {
    let handler: Arc<dyn EnvelopeHandler> = Arc::new(Requests { starter, units_of_work });
    let topic = Topic::named(WORKFLOW_REQUESTS_TOPIC.as_str());
    [START_TASK, SIGNAL_TASK, SIGNAL_WITH_START_TASK]
        .into_iter()
        .fold(topic, |topic, task| {
            let descriptor = WorkflowRequest::descriptor(task.clone());
            topic.handle_envelopes((WORKFLOW_REQUESTS_TOPIC, task), Arc::clone(&handler), Some(descriptor))
        })
}

struct Requests {
    starter: Arc<dyn WorkflowStarter>,
    units_of_work: Arc<dyn UnitOfWorkFactory>,
}

#[async_trait]
impl EnvelopeHandler for Requests {
    async fn handle(&self, task: &TaskEnvelope, ctx: &TaskContext) -> Result<TaskResult, DecodeError> {
        let request = WorkflowRequest::from_task(task)?;
        Ok(self.once(request, task, ctx).await)
    }
}

impl Requests {
    /// The engine is asked between two transactions, never within one; that it was asked is remembered afterwards, because a
    /// request that was lost is worse than one that is made again.
    async fn once(&self, request: WorkflowRequest, task: &TaskEnvelope, ctx: &TaskContext) -> TaskResult {
        let mut looking = self.units_of_work.begin(ctx.tenant(), ctx.cause()).await?;
        ctx.claim(&mut *looking.inbox()).await?;
        let limits = *looking.outbox().envelopes().codec().limits();
        drop(looking);
        let asked = timeout(DEADLINE, self.ask(request)).await;
        let (outcome, again) = match asked.unwrap_or_else(|_| Err(Refused::no_answer())) {
            Ok(outcome) => (outcome, None),
            Err(refused) => match (refused.early(task, ctx, &limits)?, refused) {
                (Some(again), _) => (told_by(&again), Some(again)),
                (None, Refused::Signal(over @ WorkflowRequestError::Over { .. })) => (too_late(&over), None),
                (None, refused) => return Err(refused.into_stop(ctx)),
            },
        };
        let mut done = self.units_of_work.begin(ctx.tenant(), ctx.cause()).await?;
        ctx.claim(&mut *done.inbox()).await?;
        if let Some(again) = again {
            done.outbox().append(vec![OutboxMessage::Task(again)]).await?;
        }
        done.commit().await?;
        Ok(outcome)
    }

    async fn ask(&self, request: WorkflowRequest) -> Result<Outcome, Refused> {
        let started = match request {
            WorkflowRequest::Signal(signal) => {
                self.starter.signal(signal).await.map_err(Refused::Signal)?;
                return Ok(Outcome::Completed);
            }
            WorkflowRequest::Start(start) => self.starter.start(start).await,
            WorkflowRequest::SignalWithStart(start, signal) => self.starter.signal_with_start(start, signal).await,
        };
        match started {
            Ok(_) => Ok(Outcome::Completed),
            Err(taken @ WorkflowStartError::AlreadyStarted { .. }) => {
                Ok(Outcome::Skipped(Reason::new(taken.to_string())))
            }
            Err(error) => Err(Refused::Start(error)),
        }
    }
}

/// Why a request was not carried out.
enum Refused {
    Start(WorkflowStartError),
    Signal(WorkflowRequestError),
}

impl Refused {
    fn no_answer() -> Self {
        Self::Start(WorkflowStartError::Unavailable {
            operation: "request",
            reason: format!("no answer within {DEADLINE:?}"),
        })
    }

    /// The signal as a task behind all that was asked of its workflow so far, when it may be early: a retry would hold up the
    /// start it waits for, which has the same order key.
    fn early(
        &self,
        task: &TaskEnvelope,
        ctx: &TaskContext,
        limits: &Limits,
    ) -> Result<Option<TaskEnvelope>, EncodeError> {
        // One that is over may be started again, and that start may be behind as any other.
        let Self::Signal(WorkflowRequestError::NotRunning { .. } | WorkflowRequestError::Over { .. }) = self else {
            return Ok(None);
        };
        let times = WorkflowRequest::times_early(task);
        if times >= EARLY {
            return Ok(None);
        }
        let wait = EARLY_WAIT.0.saturating_mul(1 << times.min(3)).min(EARLY_WAIT.1);
        Ok(Some(TaskEnvelope {
            id: task.id.derive("early"),
            attempt: 1,
            enqueued_at: ctx.now(),
            not_before: Some(time::after(ctx.now(), wait)),
            payload: WorkflowRequest::early_once_more(task, limits)?,
            ..task.clone()
        }))
    }

    fn into_stop(self, ctx: &TaskContext) -> Stop {
        match self {
            Self::Start(error) => stop(error, ctx),
            Self::Signal(error) => stop(error, ctx),
        }
    }
}

fn told_by(again: &TaskEnvelope) -> Outcome {
    Outcome::Skipped(Reason::new(format!(
        "the workflow does not run yet: it is told by {}",
        again.id
    )))
}

fn too_late(over: &WorkflowRequestError) -> Outcome {
    Outcome::Skipped(Reason::new(format!("{over} ({})", over.code())))
}

fn age(ctx: &TaskContext) -> Duration {
    let age = ctx.now().signed_duration_since(ctx.first_enqueued_at());
    age.to_std().unwrap_or_default()
}

/// An outage is no attempt, so attempts do not tell how long it lasts: the age of the request does.
fn stop<E: Classified>(error: E, ctx: &TaskContext) -> Stop {
    let is_outage = error.class() == ErrorClass::Outage;
    let stop = Stop::from(error);
    match stop {
        Stop::Failed {
            failure,
            retry_after: None,
        } if is_outage => {
            let wait = age(ctx).clamp(WAIT.0, WAIT.1);
            Stop::Failed {
                failure,
                retry_after: Some(wait),
            }
        }
        Stop::Failed { .. } | Stop::Skip(_) | Stop::Done => stop,
    }
}
