//! The code that runs a task.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;

use crate::contract::{Cause, TaskEnvelope, Tenant};
use crate::effects::IdempotencyKey;
use crate::failure::{ErrorClass, Failure};
use crate::ids::MessageId;
use crate::tasks::{Inbox, InboxClaim, InboxMessage, Outcome, Reason, Stop, Task};
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
    cause: Cause,
}

/// What a [`TaskContext`] is made of.
#[derive(Clone)]
pub struct TaskContextParts {
    /// The task as it came.
    pub task: Arc<TaskEnvelope>,
    /// This attempt's number, from 1.
    pub attempt: u32,
    /// When this attempt's time is over.
    pub deadline: Timestamp,
    /// Tells when the run should end early.
    pub cancellation: Arc<dyn CancellationSignal>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl TaskContext {
    /// A context of these parts.
    pub fn new(parts: TaskContextParts) -> Self {
        Self {
            cause: parts.task.cause_of_next(),
            parts,
        }
    }

    /// The task's id: the same for every attempt and redelivery.
    pub fn task_id(&self) -> MessageId {
        self.parts.task.id
    }

    /// What effects are made unrepeatable with: the task's id.
    pub fn idempotency_key(&self) -> IdempotencyKey {
        IdempotencyKey::from(self.task_id())
    }

    /// Whose task it is.
    pub fn tenant(&self) -> &Tenant {
        &self.parts.task.tenant
    }

    /// The slot of the schedule that published this task: the time it is about, however late it runs. Of a run by hand, when
    /// it was ordered. `None` for what no schedule published.
    pub fn slot(&self) -> Option<Timestamp> {
        self.parts.task.slot
    }

    /// When the task was first enqueued: the same for every attempt and redelivery.
    pub fn first_enqueued_at(&self) -> Timestamp {
        self.parts.task.first_enqueued_at
    }

    /// This attempt's number, from 1.
    pub const fn attempt(&self) -> u32 {
        self.parts.attempt
    }

    /// When this attempt's time is over.
    pub const fn deadline(&self) -> Timestamp {
        self.parts.deadline
    }

    /// Tells when the run should end early: at shutdown, or because the task was cancelled.
    pub fn cancellation(&self) -> &dyn CancellationSignal {
        &*self.parts.cancellation
    }

    /// What to begin a unit of work or publish with, so that the tree of causes stays whole.
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// Claims this task in `inbox`, first thing in the handler's own transaction. `Ok` when no run of it has committed; ends
    /// this run as completed when one has. What the transaction changes then happens once, however often the task comes.
    ///
    /// The transaction should hold all of the handler's effects on the database and nothing else: no call to anything
    /// outside it, and no second transaction, which a run after this one would never reach.
    ///
    /// ```
    /// use aftercommit_domain::events::OutboxWriterExt;
    /// # use aftercommit_domain::contract::{OrganizationId, ProjectId};
    /// # use aftercommit_domain::tasks::{Task, TaskContext, TaskHandler, TaskOptions, TaskResult, completed};
    /// # use aftercommit_domain::unit_of_work::UnitOfWorkFactory;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize, Task)]
    /// # #[task(topic = "accounts", name = "book", version = 1)]
    /// # struct Book { organization_id: OrganizationId, project_id: ProjectId }
    /// # #[derive(Serialize, Deserialize, Task)]
    /// # #[task(topic = "accounts", name = "report", version = 1)]
    /// # struct Report { organization_id: OrganizationId, project_id: ProjectId }
    /// # struct Accounts { units_of_work: std::sync::Arc<dyn UnitOfWorkFactory> }
    /// # #[async_trait::async_trait]
    /// impl TaskHandler<Book> for Accounts {
    ///     async fn handle(&self, task: Book, ctx: &TaskContext) -> TaskResult {
    ///         let mut unit_of_work = self.units_of_work.begin(ctx.tenant(), ctx.cause()).await?;
    ///         ctx.claim(&mut *unit_of_work.inbox()).await?;
    ///         // … what it changes, and what follows:
    ///         let report = Report { organization_id: task.organization_id, project_id: task.project_id };
    ///         unit_of_work.outbox().publish(report, TaskOptions::default()).await?;
    ///         unit_of_work.commit().await?;
    ///         completed()
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Stop::Done`] when it is done; [`InboxError`](crate::tasks::InboxError) by its class.
    pub async fn claim<I: Inbox + ?Sized>(&self, inbox: &mut I) -> Result<(), Stop> {
        match inbox.claim(&InboxMessage::of(&self.parts.task)).await? {
            InboxClaim::First => Ok(()),
            InboxClaim::Seen => Err(Stop::Done),
        }
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
