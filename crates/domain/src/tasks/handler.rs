//! The code that runs a task.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;

use crate::contract::{Cause, Tenant};
use crate::effects::IdempotencyKey;
use crate::failure::{ErrorClass, Failure};
use crate::ids::MessageId;
use crate::tasks::{Outcome, Reason, Stop, Task};
use crate::time::{Clock, Timestamp};

/// What a handler returns.
pub type TaskResult = Result<Outcome, Stop>;

/// Runs one kind of task: re-fetch the state, decide whether it is still wanted, act, record.
///
/// **Delivery**: the same task may arrive again after it succeeded (a worker can die between acting and settling), and
/// after a lost lease even while an earlier run is still on its way. Effects take [`TaskContext::idempotency_key`]. The
/// future is dropped when the attempt's time is over, at any await.
///
/// # Errors
/// A [`Classified`](crate::failure::Classified) error becomes a retry or a dead letter by its class through `?`; a
/// foreign one after [`.retryable()`](Retryable::retryable). A panic counts as a failed attempt.
#[async_trait]
pub trait TaskHandler<T: Task>: Send + Sync + 'static {
    /// Runs `task`.
    async fn handle(&self, task: T, ctx: &TaskContext) -> TaskResult;
}

/// It is done.
pub fn completed() -> TaskResult {
    Ok(Outcome::Completed)
}

/// There is nothing to do any more, for this reason. Recorded; never put personal data in it.
pub fn skipped(reason: impl AsRef<str>) -> TaskResult {
    Ok(Outcome::Skipped(Reason::new(reason)))
}

/// What a handler knows of its run.
#[derive(Clone)]
pub struct TaskContext {
    parts: TaskContextParts,
}

/// What a [`TaskContext`] is made of.
#[derive(Clone)]
pub struct TaskContextParts {
    /// The task's id.
    pub task_id: MessageId,
    /// Whose it is.
    pub tenant: Tenant,
    /// This attempt's number, from 1.
    pub attempt: u32,
    /// When this attempt's time is over.
    pub deadline: Timestamp,
    /// Tells when the run should end early.
    pub cancellation: Arc<dyn CancellationSignal>,
    /// What the messages this run causes pass on.
    pub cause: Cause,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl TaskContext {
    /// A context of these parts.
    pub const fn new(parts: TaskContextParts) -> Self {
        Self { parts }
    }

    /// The task's id: the same for every attempt and redelivery.
    pub const fn task_id(&self) -> MessageId {
        self.parts.task_id
    }

    /// What effects are made unrepeatable with: the task's id.
    pub fn idempotency_key(&self) -> IdempotencyKey {
        IdempotencyKey::from(self.parts.task_id)
    }

    /// Whose task it is.
    pub const fn tenant(&self) -> &Tenant {
        &self.parts.tenant
    }

    /// This attempt's number, from 1.
    pub const fn attempt(&self) -> u32 {
        self.parts.attempt
    }

    /// When this attempt's time is over.
    pub const fn deadline(&self) -> Timestamp {
        self.parts.deadline
    }

    /// Tells when the run should end early: at shutdown.
    pub fn cancellation(&self) -> &dyn CancellationSignal {
        &*self.parts.cancellation
    }

    /// What to begin a unit of work or publish with, so that the tree of causes stays whole.
    pub const fn cause(&self) -> &Cause {
        &self.parts.cause
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// The value a repository found, or the end of this run as skipped with `reason`.
    pub fn found<T>(&self, value: Option<T>, reason: &str) -> Result<T, Stop> {
        value.ok_or_else(|| Stop::Skip(Reason::new(reason)))
    }
}

/// Tells a handler that it should end early.
#[async_trait]
pub trait CancellationSignal: Send + Sync {
    /// Whether it should.
    fn is_cancelled(&self) -> bool;

    /// Returns when it should.
    async fn cancelled(&self);
}

/// Classifies foreign errors in handlers.
pub trait Retryable<T> {
    /// The error is a failed attempt that is tried again.
    fn retryable(self) -> Result<T, Stop>;
}

impl<T, E: Error + 'static> Retryable<T> for Result<T, E> {
    fn retryable(self) -> Result<T, Stop> {
        self.map_err(|error| Stop::Failed {
            failure: Failure::of_foreign(&error, "handler.failed", ErrorClass::Retryable),
            retry_after: None,
        })
    }
}
