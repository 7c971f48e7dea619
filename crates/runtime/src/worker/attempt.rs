//! One attempt: decode, run the handler within its time, say how it ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{
    CorrelationId, DecodeError, Limits, OrganizationId, ProjectId, RawTask, TaskEnvelope, TopicName, TraceContext,
};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::tasks::{AttemptEnd, Outcome, Stop, TaskContext, TaskContextParts};
use aftercommit_domain::time::{self, Clock};
use futures::FutureExt;
use tracing::Span;

use crate::lifecycle::Shutdown;
use crate::lifecycle::panic_message;
use crate::orders::RunningTask;
use crate::worker::parked::Parked;
use crate::worker::registry::RegisteredHandler;

/// How long a handler may go on after it was ordered to end.
const ORDERED_TO_END: Duration = Duration::from_secs(10);

/// What every attempt of a topic shares.
pub(super) struct AttemptServices {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) shutdown: Shutdown,
    /// What waits for a build that knows it.
    pub(super) parked: Parked,
}

impl AttemptServices {
    /// How an attempt at what this build does not know ends.
    pub(super) fn unknown(&self, task: &TaskEnvelope, failure: Failure) -> AttemptEnd {
        AttemptEnd::Unknown {
            failure,
            again: self.parked.again(task, self.clock.now()),
        }
    }
}

/// The envelope in the bytes, if it is one of `topic`.
pub(super) fn read(raw: &RawTask, topic: &TopicName, limits: &Limits) -> Result<TaskEnvelope, Failure> {
    if let Some(said) = &raw.foreign_content {
        return Err(Failure::of(&DecodeError::Content { said: said.clone() }));
    }
    let task = TaskEnvelope::decode(&raw.body, limits).map_err(|error| Failure::of(&error))?;
    if task.topic == *topic {
        Ok(task)
    } else {
        Err(unknown(topic, &task))
    }
}

/// What came of a task that no handler of `topic` runs.
pub(super) fn unknown(topic: &TopicName, task: &TaskEnvelope) -> Failure {
    let contract = if task.topic == *topic {
        format!("task {topic}/{}", task.task)
    } else {
        format!("task {}/{} on topic {topic}", task.topic, task.task)
    };
    Failure::of(&DecodeError::Unknown { contract })
}

/// What the lines within an attempt have in common. At the highest level, so that no filter takes the tenant away.
pub(super) fn span(task: &TaskEnvelope, attempt: u32) -> Span {
    tracing::error_span!(
        "task.run",
        topic = task.topic.as_str(),
        task = task.task.as_str(),
        task_id = %task.id,
        attempt,
        organization_id = task.tenant.organization_id().map(OrganizationId::as_str),
        project_id = task.tenant.project_id().map(ProjectId::as_str),
        trace_id = task.cause.trace.as_ref().map(TraceContext::trace_id),
        correlation_id = task.cause.correlation.as_ref().map(CorrelationId::as_str),
        // For OpenTelemetry, by its conventions of messaging; the log leaves them out.
        otel.kind = "consumer",
        messaging.system = "aftercommit",
        messaging.operation.name = task.task.as_str(),
        messaging.operation.type = "process",
        messaging.destination.name = task.topic.as_str(),
        messaging.message.id = %task.id,
        messaging.message.conversation_id = task.cause.correlation.as_ref().map(CorrelationId::as_str),
    )
}

/// Runs the handler to one of its ends.
pub(super) async fn run(
    task: &Arc<TaskEnvelope>,
    handler: &RegisteredHandler,
    attempt: u32,
    services: &AttemptServices,
    order: &RunningTask,
) -> AttemptEnd {
    let shutdown = &services.shutdown;
    if shutdown.stop_token().is_cancelled() {
        // It was taken in the moment of the stop and has not begun.
        return AttemptEnd::Interrupted;
    }
    let now = services.clock.now();
    if task.deadline.is_some_and(|deadline| deadline < now) {
        return AttemptEnd::Expired;
    }
    let ctx = TaskContext::new(TaskContextParts {
        task: Arc::clone(task),
        attempt,
        deadline: time::after(now, handler.timeout),
        cancellation: order.signal(shutdown.cancel_token()),
        clock: Arc::clone(&services.clock),
    });
    let handling = async { handler.handler.handle(task, &ctx).await };
    #[cfg(feature = "failpoints")]
    let handling = crate::failpoints::in_attempt(handling);
    let run = AssertUnwindSafe(handling).catch_unwind();
    let end = tokio::select! {
        // A handler that is done counts, even when its time is over in the same instant.
        biased;
        ended = run => match ended {
            Ok(Ok(result)) => AttemptEnd::Returned(result),
            Ok(Err(unknown)) if unknown.is_of_a_newer_build() => services.unknown(task, Failure::of(&unknown)),
            Ok(Err(undecodable)) => AttemptEnd::Unreadable(Failure::of(&undecodable)),
            Err(panic) => AttemptEnd::Panicked(panic_message(&*panic)),
        },
        () = shutdown.abort_token().cancelled() => AttemptEnd::Interrupted,
        () = out_of_patience(order) => AttemptEnd::TimedOut(ORDERED_TO_END),
        () = tokio::time::sleep(handler.timeout) => AttemptEnd::TimedOut(handler.timeout),
    };
    if (has_failed(&end) || is_snoozed(&end))
        && let Some(reason) = order.is_cancelled()
    {
        return AttemptEnd::Cancelled(reason);
    }
    if shutdown.cancel_token().is_cancelled() && has_failed(&end) {
        // It was told to end early, so this says nothing about the task.
        return AttemptEnd::Interrupted;
    }
    end
}

/// Returns when a handler that was ordered to end did not.
async fn out_of_patience(order: &RunningTask) {
    order.cancelled().await;
    tokio::time::sleep(ORDERED_TO_END).await;
}

const fn is_snoozed(end: &AttemptEnd) -> bool {
    matches!(end, AttemptEnd::Returned(Ok(Outcome::Snoozed(_))))
}

const fn has_failed(end: &AttemptEnd) -> bool {
    match end {
        AttemptEnd::Returned(Err(Stop::Failed { .. })) | AttemptEnd::TimedOut(_) | AttemptEnd::Panicked(_) => true,
        AttemptEnd::Returned(Ok(_) | Err(Stop::Skip(_) | Stop::Done))
        | AttemptEnd::Unreadable(_)
        | AttemptEnd::Unknown { .. }
        | AttemptEnd::Expired
        | AttemptEnd::Interrupted
        | AttemptEnd::Cancelled(_)
        | AttemptEnd::Paused => false,
    }
}
