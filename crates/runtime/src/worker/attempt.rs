//! One attempt: decode, run the handler within its time, say how it ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use aftercommit_domain::contract::Limits;
use aftercommit_domain::contract::{DecodeError, TaskEnvelope};
use aftercommit_domain::failure::{Classified, Failure};
use aftercommit_domain::tasks::{AttemptEnd, Delivery, TaskContext, TaskContextParts};
use aftercommit_domain::time::{self, Clock};
use futures::FutureExt;
use tracing::Instrument;

use crate::lifecycle::Shutdown;
use crate::lifecycle::TokenSignal;
use crate::lifecycle::panic_message;
use crate::worker::registry::{RegisteredHandler, RegisteredTopic};

/// What every attempt of a process shares.
#[derive(Clone)]
pub struct AttemptServices {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The limits of envelopes.
    pub limits: Limits,
    /// The stages of a stop.
    pub shutdown: Shutdown,
}

/// A delivery that was read.
pub(super) struct Readable {
    pub(super) task: TaskEnvelope,
    pub(super) handler: RegisteredHandler,
}

/// The envelope and its handler, or why there is none.
pub(super) fn read(delivery: &dyn Delivery, topic: &RegisteredTopic, limits: &Limits) -> Result<Readable, Failure> {
    let task = TaskEnvelope::decode(&delivery.task().body, limits).map_err(|error| Failure::of(&error))?;
    if let Some(handler) = topic.handlers.get(&task.task) {
        return Ok(Readable {
            handler: handler.clone(),
            task,
        });
    }
    let contract = format!("task {}/{}", topic.name, task.task);
    Err(Failure::of(&DecodeError::Unknown { contract }))
}

/// Runs the handler to one of its ends.
pub(super) async fn run(readable: &Readable, attempt: u32, services: &AttemptServices) -> AttemptEnd {
    let Readable { task, handler } = readable;
    let now = services.clock.now();
    if task.deadline.is_some_and(|deadline| deadline < now) {
        return AttemptEnd::Expired;
    }
    let ctx = TaskContext::new(TaskContextParts {
        task_id: task.id,
        tenant: task.tenant.clone(),
        attempt,
        deadline: time::after(now, handler.timeout),
        cancellation: Arc::new(TokenSignal(services.shutdown.cancel_token().clone())),
        cause: task.cause_of_next(),
        clock: Arc::clone(&services.clock),
    });
    // At the highest level, so that no filter takes the tenant away from the lines within it.
    let span = tracing::error_span!(
        "task.run",
        topic = %task.topic,
        task = %task.task,
        task_id = %task.id,
        attempt,
        organization_id = task.tenant.organization_id().map(aftercommit_domain::contract::OrganizationId::as_str),
        project_id = task.tenant.project_id().map(aftercommit_domain::contract::ProjectId::as_str),
        trace_id = task.cause.trace.as_ref().map(aftercommit_domain::contract::TraceContext::trace_id),
        correlation_id = task.cause.correlation.as_ref().map(aftercommit_domain::contract::CorrelationId::as_str),
    );
    let handled = AssertUnwindSafe(async { handler.handler.handle(task, &ctx).await })
        .catch_unwind()
        .instrument(span);
    let end = tokio::select! {
        // A handler that is done counts, even when its time is over in the same instant.
        biased;
        ended = handled => ended,
        () = services.shutdown.abort_token().cancelled() => return AttemptEnd::Interrupted,
        () = tokio::time::sleep(handler.timeout) => return AttemptEnd::TimedOut(handler.timeout),
    };
    match end {
        Ok(Ok(Err(_))) | Err(_) if services.shutdown.cancel_token().is_cancelled() => AttemptEnd::Interrupted,
        Ok(Ok(result)) => AttemptEnd::Returned(result),
        Ok(Err(undecodable)) => {
            tracing::error!(task_id = %task.id, code = undecodable.code(), error = %undecodable, "a task cannot be read");
            AttemptEnd::Unreadable(Failure::of(&undecodable))
        }
        Err(panic) => AttemptEnd::Panicked(panic_message(&*panic)),
    }
}
