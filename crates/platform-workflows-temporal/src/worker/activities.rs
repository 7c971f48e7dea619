//! Any activity of the registry, as the SDK sees it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aftercommit_domain::contract::{Cause, RunId, WorkflowEnvelope};
use aftercommit_domain::tasks::CancellationSignal;
use aftercommit_domain::time::{Clock, Timestamp, to_micros};
use aftercommit_domain::workflows::{
    ActivityContext, ActivityContextParts, ActivityError, ActivityHost, StepNumber, WorkflowFailure, WorkflowRegistry,
};
use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use temporalio_common::data_converters::RawValue;
use temporalio_common::{ActivityDefinition, ActivityError as SdkActivityError};
use temporalio_sdk::activities::{
    ActivityContext as SdkActivityContext, ActivityDefinitions, ActivityImplementer, ExecutableActivity,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::Stop;
use super::hosted::{register_as, registered_name};
use super::presence::{Presence, expected_signs};
use super::run::LAST_WORDS;
use crate::{failure, payload, workflow_metrics};

/// Why an attempt ended that its worker did not wait for.
const WORKER_STOPPED: &str = "activity.worker_stopped";

/// The activities of the registry.
pub(super) struct HostedActivities {
    pub(super) registry: Arc<WorkflowRegistry>,
    pub(super) clock: Arc<dyn Clock>,
    /// How far the worker is to stop.
    pub(super) stopped: watch::Receiver<Stop>,
    /// `true` when it waits no longer.
    pub(super) is_over: watch::Receiver<bool>,
}

impl ActivityImplementer for HostedActivities {
    fn register_all(self: Arc<Self>, definitions: &mut ActivityDefinitions) {
        for name in self.registry.activity_names() {
            register_as(name.as_str());
            definitions.register_activity::<HostedActivity>(Arc::clone(&self));
        }
    }
}

/// One of them: which, its context says.
pub(super) struct HostedActivity {
    name: String,
}

impl ActivityDefinition for HostedActivity {
    type Input = RawValue;
    type Output = RawValue;

    fn name(&self) -> &str {
        &self.name
    }
}

impl ExecutableActivity for HostedActivity {
    type Implementer = HostedActivities;

    const REQUIRES_INSTANCE: bool = true;

    fn definition() -> Self {
        Self {
            name: registered_name(),
        }
    }

    fn execute(
        receiver: Option<Arc<HostedActivities>>,
        ctx: SdkActivityContext,
        input: RawValue,
    ) -> BoxFuture<'static, Result<RawValue, SdkActivityError>> {
        async move {
            let Some(hosted) = receiver else {
                let failure =
                    WorkflowFailure::retryable(WorkflowFailure::UNKNOWN_ACTIVITY, "the worker has no activities");
                return Err(of_failure(failure, None));
            };
            let (name, began) = (ctx.info().activity_type.clone(), Instant::now());
            let ended = hosted.attempt(ctx, &input).await;
            workflow_metrics::attempt_ended(&name, &ended, began.elapsed());
            match ended {
                Ok(answer) => Ok(payload::raw([payload::of(&answer)])),
                Err(ActivityError::Cancelled) => Err(SdkActivityError::cancelled()),
                Err(ActivityError::Failed { failure, retry_after }) => Err(of_failure(failure, retry_after)),
            }
        }
        .boxed()
    }
}

fn of_failure(failure: WorkflowFailure, retry_after: Option<Duration>) -> SdkActivityError {
    SdkActivityError::Application(Box::new(failure::application(failure, retry_after)))
}

impl HostedActivities {
    /// One attempt, no longer than its time and its worker's.
    async fn attempt(&self, ctx: SdkActivityContext, input: &RawValue) -> Result<Value, ActivityError> {
        let name = ctx.info().activity_type.clone();
        let known = name
            .parse()
            .ok()
            .and_then(|name| self.registry.activity(&name).cloned());
        let activity = known.ok_or_else(|| {
            WorkflowFailure::retryable(
                WorkflowFailure::UNKNOWN_ACTIVITY,
                format!("no activity {name} is registered here"),
            )
        })?;
        let value = payload::first(&input.payloads).map_err(malformed)?;
        let host = Arc::new(AttemptHost::new(ctx, expected_signs(&input.payloads)));
        let parts = self.parts(&host, input)?;
        let running = activity.run(value, ActivityContext::new(parts));
        let mut is_over = self.is_over.clone();
        failpoint!(ACTIVITY_BEFORE_RUN);
        let ended = {
            tokio::pin!(running);
            let beating = Arc::clone(&host);
            let _pulse = host.presence.pulse(move || {
                let host = Arc::clone(&beating);
                async move { host.record().await }
            });
            let in_time = tokio::select! {
                biased;
                ended = &mut running => Ok(ended),
                reason = host.late() => Err(reason),
                // An end of the sender is an end of the worker.
                _ = is_over.wait_for(|is_over| *is_over) => Ok(Err(ActivityError::Cancelled)),
            };
            match in_time {
                Ok(ended) => ended,
                Err(reason) => {
                    // The server gives it to another; it may put in order what it did, and no more.
                    host.late.send_replace(true);
                    let ended = timeout(LAST_WORDS, running).await;
                    ended.ok().and_then(Result::ok).ok_or_else(|| too_late(reason))
                }
            }
        };
        failpoint!(ACTIVITY_AFTER_RUN);
        self.told(ended, host.ctx.is_cancelled())
    }

    /// What the server is told of an attempt that ended so.
    fn told(&self, ended: Result<Value, ActivityError>, is_cancelled: bool) -> Result<Value, ActivityError> {
        match ended {
            // The workflow wants it, so another worker does it.
            Err(ActivityError::Cancelled) if self.is_worker_ending() => {
                Err(WorkflowFailure::retryable(WORKER_STOPPED, "the worker of the activity stopped").into())
            }
            // The server takes such an end only from those it has told to end.
            Err(ActivityError::Cancelled) if !is_cancelled => Err(WorkflowFailure::permanent(
                WorkflowFailure::ACTIVITY_CANCELLED,
                "the attempt ended as cancelled, although nobody cancelled it",
            )
            .into()),
            ended => ended,
        }
    }

    /// By order, or because the SDK's worker ended and is started again.
    fn is_worker_ending(&self) -> bool {
        let is_over = *self.is_over.borrow() || self.is_over.has_changed().is_err();
        is_over || *self.stopped.borrow() > Stop::GoOn
    }

    fn parts(&self, host: &Arc<AttemptHost>, input: &RawValue) -> Result<ActivityContextParts, ActivityError> {
        let info = host.ctx.info();
        let workflow_id = info.workflow_id.as_deref().unwrap_or_default();
        let workflow_id = workflow_id.parse().map_err(|error| malformed(format!("{error}")))?;
        let run_id = info.workflow_run_id.clone().unwrap_or_default();
        let run_id = RunId::new(run_id).map_err(|error| malformed(error.to_string()))?;
        let activity_id = info
            .activity_id
            .parse()
            .map_err(|_| malformed("its id is none of ours".to_owned()))?;
        Ok(ActivityContextParts {
            workflow_id,
            run_id,
            activity_id: StepNumber(activity_id),
            attempt: info.attempt.max(1),
            deadline: info.deadline.map_or(Timestamp::MAX_UTC, of_system_time),
            cause: self.cause(input)?,
            cursor: host.cursor(),
            clock: Arc::clone(&self.clock),
            limits: *self.registry.codec().limits(),
            host: Arc::<AttemptHost>::clone(host),
        })
    }

    fn cause(&self, input: &RawValue) -> Result<Cause, ActivityError> {
        let envelope = input
            .payloads
            .get(1)
            .ok_or_else(|| malformed("it does not say why it exists".to_owned()))?;
        let bytes = payload::bytes(envelope).map_err(malformed)?;
        let envelope = WorkflowEnvelope::decode(bytes, self.registry.codec().limits());
        Ok(envelope.map_err(|error| malformed(error.to_string()))?.cause_of_next())
    }
}

fn too_late(reason: &str) -> ActivityError {
    WorkflowFailure::retryable(WorkflowFailure::TIMED_OUT, reason).into()
}

fn malformed(reason: String) -> ActivityError {
    WorkflowFailure::permanent(WorkflowFailure::MALFORMED, reason).into()
}

fn of_system_time(time: SystemTime) -> Timestamp {
    to_micros(time.into())
}

/// What the SDK gives one attempt.
struct AttemptHost {
    ctx: SdkActivityContext,
    /// How far this attempt, or the one before, has come.
    cursor: Mutex<Option<Value>>,
    /// Held while the server is told, so that an older cursor never comes after a newer one.
    telling: tokio::sync::Mutex<()>,
    presence: Presence,
    /// Whether its time is over.
    late: watch::Sender<bool>,
}

impl AttemptHost {
    /// `expected`: how long the attempt may give no sign of life itself, if that is asked of it.
    fn new(ctx: SdkActivityContext, expected: Option<Duration>) -> Self {
        let before = ctx.heartbeat_details().raw().first();
        Self {
            presence: Presence::new(ctx.info().heartbeat_timeout, expected),
            late: watch::Sender::new(false),
            cursor: Mutex::new(before.and_then(|cursor| payload::read(cursor).ok())),
            telling: tokio::sync::Mutex::default(),
            ctx,
        }
    }

    /// How long the attempt may take. Both ends are of the server's clock, which may be another than ours.
    fn time(&self) -> Duration {
        let info = self.ctx.info();
        let time = info
            .started_time
            .zip(info.deadline)
            .map(|(started, deadline)| deadline.duration_since(started));
        time.and_then(Result::ok).unwrap_or(Duration::MAX)
    }

    /// Returns why it is too late when it is.
    async fn late(&self) -> &'static str {
        tokio::select! {
            () = sleep(self.time()) => "an attempt of the activity took too long",
            () = self.presence.silent() => "an attempt of the activity gave no sign of life for too long",
        }
    }

    fn cursor(&self) -> Option<Value> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells the server that the attempt lives, and how far it is. It says only in answer to that whether the attempt is to
    /// end.
    async fn record(&self) {
        let _telling = self.telling.lock().await;
        let cursor = self.cursor().as_ref().map(payload::of);
        // It fails only for what cannot be written, and JSON can be.
        let _noted = self
            .ctx
            .record_heartbeat(payload::raw(cursor.into_iter().collect::<Vec<_>>()))
            .await;
    }
}

#[async_trait]
impl CancellationSignal for AttemptHost {
    fn is_cancelled(&self) -> bool {
        self.ctx.is_cancelled() || *self.late.borrow()
    }

    async fn cancelled(&self) {
        let mut late = self.late.subscribe();
        tokio::select! {
            () = self.ctx.cancelled() => {}
            // Its sender is here.
            _ = late.wait_for(|late| *late) => {}
        }
    }
}

#[async_trait]
impl ActivityHost for AttemptHost {
    async fn heartbeat(&self, cursor: Value) {
        failpoint!(HEARTBEAT_BEFORE);
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = Some(cursor);
        self.presence.note();
        self.record().await;
        failpoint!(HEARTBEAT_AFTER);
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_testkit::test_services;

    use super::*;

    #[test]
    fn an_attempt_whose_worker_ended_unasked_is_tried_again() {
        let (_stop, stopped) = watch::channel(Stop::GoOn);
        let (over, is_over) = watch::channel(false);
        let hosted = HostedActivities {
            registry: Arc::new(WorkflowRegistry::new(test_services().codec)),
            clock: Arc::new(test_services().clock),
            stopped,
            is_over,
        };
        let is_retried = || match hosted.told(Err(ActivityError::Cancelled), false) {
            Err(ActivityError::Failed { failure, .. }) => failure.retryable,
            other => panic!("{other:?}"),
        };
        assert!(!is_retried(), "its worker goes on");
        drop(over);
        assert!(is_retried());
    }
}
