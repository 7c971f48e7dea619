//! Driving the code of one run through the SDK.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aftercommit_domain::contract::{Json, Limits, RunId, WorkflowEnvelope};
use aftercommit_domain::failure::Classified;
use aftercommit_domain::time::{Timestamp, to_micros};
use aftercommit_domain::workflows::{
    Exit, RunInfo, RunProgress, WorkflowHost, WorkflowId, WorkflowProblem, WorkflowRun,
};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde_json::Value;
use temporalio_common::MemoValues;
use temporalio_common::data_converters::RawValue;
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_sdk::{ContinueAsNewOptions, WorkflowContext, WorkflowContextView, WorkflowTermination};
use uuid::Uuid;

use super::carried::{Carried, CarriedSignal};
use super::events::{Event, Events, Signal};
use super::host::RunHost;
use super::hosted::{HostedWorkflow, Output, Seen};
use crate::workflow_metrics::{self, RunEnd};
use crate::{failure, payload, problem};

/// The field of the memo that counts the runs of a workflow since it was started.
pub(crate) const MEMO_ATTEMPT: &str = "attempt";

type Ctx = WorkflowContext<HostedWorkflow>;

/// The whole of one run.
pub(super) fn run(ctx: Ctx, input: RawValue) -> LocalBoxFuture<'static, Result<Output, WorkflowTermination>> {
    async move {
        let begun = match begin(&ctx, input) {
            Ok(begun) => begun,
            Err(problem) => return stuck(&ctx, &problem).await,
        };
        match begun.drive().await {
            RunProgress::Ended(end) => {
                let published = begun.run.borrow().published();
                ctx.state_mut(|hosted| hosted.seen = Seen::Ended(published));
                let how = end_of(&end);
                match begun.ended(&ctx, end) {
                    Ok(ended) => {
                        // A query replays a run that has ended.
                        if !ctx.is_replaying() {
                            workflow_metrics::run_ended(ctx.info().workflow_type(), how);
                        }
                        ended
                    }
                    Err(problem) => stuck(&ctx, &problem).await,
                }
            }
            RunProgress::Stuck(problem) => stuck(&ctx, &problem).await,
            // What waits is driven on.
            RunProgress::Waiting => stuck(&ctx, &WorkflowProblem::ForeignAwait).await,
        }
    }
    .boxed_local()
}

/// A run whose code has begun.
struct Begun {
    run: Rc<RefCell<WorkflowRun>>,
    host: Arc<RunHost>,
    events: Arc<Events>,
    attempt: u32,
}

/// Reads what the run was started with, and begins its code.
fn begin(ctx: &Ctx, input: RawValue) -> Result<Begun, WorkflowProblem> {
    let (registry, events) = ctx.state(|hosted| (hosted.registry.clone(), Arc::clone(&hosted.events)));
    let registry = registry.ok_or_else(|| WorkflowProblem::Engine {
        reason: "the worker has no workflows".to_owned(),
    })?;
    let view = ctx.info();
    let unreadable = |reason: String| WorkflowProblem::Unreadable {
        name: view.workflow_type().to_owned(),
        reason,
    };
    let mut payloads = input.payloads.into_iter();
    let envelope = payloads.next().ok_or_else(|| unreadable("there is none".to_owned()))?;
    let envelope = payload::bytes(&envelope).map_err(unreadable)?;
    let envelope =
        WorkflowEnvelope::decode(envelope, registry.codec().limits()).map_err(|error| unreadable(error.to_string()))?;
    let carried = payloads.next().map(|carried| payload::read::<Carried>(&carried));
    let carried = carried.transpose().map_err(unreadable)?;
    let carried = carried.unwrap_or_else(Carried::by_the_first);
    let workflow_id: WorkflowId = view
        .workflow_id()
        .parse()
        .map_err(|error| unreadable(format!("its id {} is none of ours: {error}", view.workflow_id())))?;
    let run_id = RunId::new(view.run_id()).map_err(|error| unreadable(error.to_string()))?;
    if workflow_id.name().as_str() != view.workflow_type() || *workflow_id.name() != envelope.workflow {
        return Err(unreadable(format!("its id says that it is {}", workflow_id.name())));
    }
    if *workflow_id.tenant() != envelope.tenant {
        return Err(unreadable("its id names another tenant".to_owned()));
    }
    let cause = cause_of(&envelope);
    let info = RunInfo {
        workflow_id,
        run_id,
        started_at: started_at(&view),
        seed: Uuid::from_u128(ctx.random::<u128>()),
        input: envelope,
    };
    let unread = carried.signals.into_iter().map(Signal::from);
    let host = Arc::new(RunHost::new(
        ctx.clone(),
        cause,
        Arc::clone(&events),
        unread.collect(),
        carried.told,
    ));
    let run = WorkflowRun::new(&registry, info, Arc::clone(&host) as Arc<dyn WorkflowHost>)?;
    let run = Rc::new(RefCell::new(run));
    if carried.is_cancelled {
        events.push(Event::Cancelled);
    }
    ctx.state_mut(|hosted| hosted.seen = Seen::Open(Rc::downgrade(&run)));
    Ok(Begun {
        run,
        host,
        events,
        attempt: carried.attempt,
    })
}

/// What activities are handed so that they know why they exist: the envelope without what is in it.
fn cause_of(envelope: &WorkflowEnvelope) -> Payload {
    let empty = Json::parse("null".to_owned(), &Limits::default());
    let text = empty.map(|payload| {
        let cause = WorkflowEnvelope {
            payload,
            ..envelope.clone()
        };
        cause.encode()
    });
    payload::of_text(text.unwrap_or_else(|_| "null".to_owned()))
}

fn started_at(view: &WorkflowContextView) -> Timestamp {
    view.start_time()
        .map_or(Timestamp::UNIX_EPOCH, |time| to_micros(time.into()))
}

impl Begun {
    /// Hands the run one thing after the other, and polls it after each, until it ends or cannot go on.
    async fn drive(&self) -> RunProgress {
        let is_first = Cell::new(true);
        poll_fn(|_| {
            // The SDK also polls when there is nothing new.
            while is_first.take() || self.deliver() {
                // Nobody is woken by it: what the run may wait for is in the events, and everything else is a mistake.
                failpoint!(WORKFLOW_BEFORE_CODE);
                let progress = self.run.borrow_mut().poll(&mut Context::from_waker(Waker::noop()));
                failpoint!(WORKFLOW_AFTER_CODE);
                self.host.forget_read();
                if progress != RunProgress::Waiting {
                    return Poll::Ready(progress);
                }
                self.host.warn_if_overdue();
            }
            Poll::Pending
        })
        .await
    }

    /// Whether there was anything that the run is to see.
    fn deliver(&self) -> bool {
        while let Some(event) = self.events.pop() {
            let is_seen = match event {
                Event::Step(number) => self.host.deliver_step(number),
                Event::Signal(signal) => self.host.deliver_signal(signal),
                Event::Cancelled => {
                    self.host.cancellation_is_known();
                    self.run.borrow().cancel();
                    true
                }
            };
            if is_seen {
                return true;
            }
        }
        false
    }

    /// As the SDK is told of the end; or why the run cannot end so.
    fn ended(
        &self,
        ctx: &Ctx,
        end: Result<Value, Exit>,
    ) -> Result<Result<Output, WorkflowTermination>, WorkflowProblem> {
        Ok(match end {
            Ok(answer) => Ok(Box::new(payload::raw([payload::of(&answer)]))),
            Err(Exit::Failed(failure)) => Err(failure::application(failure, None).into()),
            Err(Exit::Cancelled) => Err(WorkflowTermination::cancelled()),
            Err(Exit::ContinueAsNew(envelope)) => {
                let attempt = self.attempt.saturating_add(1);
                let unread = self.host.take_unread();
                let carried = Carried {
                    attempt,
                    signals: unread.signals.into_iter().map(CarriedSignal::from).collect(),
                    told: unread.told,
                    is_cancelled: unread.is_cancelled,
                };
                let sizes = carried.signals.iter().map(|signal| payload::of(signal).data.len());
                WorkflowProblem::check_unread_signals(sizes)?;
                let input = payload::raw([payload::of_text(envelope.encode()), payload::of(&carried)]);
                let options = ContinueAsNewOptions::builder().memo(memo_of_next(ctx, attempt)).build();
                ctx.continue_as_new(input, options).map(|never| match never {})
            }
        })
    }
}

fn end_of(end: &Result<Value, Exit>) -> RunEnd {
    match end {
        Ok(_) => RunEnd::Completed,
        Err(Exit::Failed(_)) => RunEnd::Failed,
        Err(Exit::Cancelled) => RunEnd::Cancelled,
        Err(Exit::ContinueAsNew(_)) => RunEnd::ContinuedAsNew,
    }
}

/// The memo goes on as it is, but for the count.
fn memo_of_next(ctx: &Ctx, attempt: u32) -> MemoValues {
    let mut memo = MemoValues::new();
    for (name, field) in ctx.memo().into_raw().fields {
        memo.insert(name, payload::raw([field]));
    }
    memo.insert(MEMO_ATTEMPT, payload::raw([payload::of(&attempt)]));
    memo
}

/// Leaves the run open: the server tries the task again, later and later, until a build without the mistake does it. What
/// stands in the history is how [`WorkflowQuerier::describe`](aftercommit_domain::workflows::WorkflowQuerier::describe)
/// knows.
async fn stuck(ctx: &Ctx, problem: &WorkflowProblem) -> Result<Output, WorkflowTermination> {
    workflow_metrics::run_ended(ctx.info().workflow_type(), RunEnd::Stuck);
    ctx.force_task_fail(problem::text(problem.code(), &problem.to_string()));
    std::future::pending().await
}
