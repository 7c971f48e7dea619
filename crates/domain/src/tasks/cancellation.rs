//! Cancelling tasks by id: what waits is gone, what runs is told to end.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::ids::MessageId;
use crate::tasks::{Reason, TaskState};
use crate::time::{Timestamp, hours};
use crate::unit_of_work::StoreError;

/// Where orders to cancel tasks are kept: until they are carried out, and a while longer, because a copy of a task may come late.
///
/// **Contract**: `Ok` of `cancel` means durable. A cancelled task ends as `cancelled` and is never run from its beginning again,
/// also when a retry of it, or a copy from a broker, comes late. Ordering it twice is ordering it once. Called concurrently.
/// Dropping the call may still cancel.
///
/// A task that runs is told by its worker, within a second. One that has done its work by then stays completed: nothing takes
/// back what was done.
#[async_trait]
pub trait TaskCancellations: Send + Sync {
    /// Orders that a task is not to be run any more.
    async fn cancel(&self, order: &CancelOrder, unseen: Unseen) -> Result<Cancelled, StoreError>;

    /// The orders that whoever runs tasks keeps to, newest first, at most `limit`. Carries out first those whose task waits by now.
    async fn outstanding(&self, limit: u32) -> Result<Vec<CancelOrder>, StoreError>;

    /// Whether there is such an order for this task.
    async fn find(&self, task: MessageId) -> Result<Option<CancelOrder>, StoreError>;

    /// Forgets up to `limit` orders given before `before` whose task is not waiting or running. Answers how many.
    async fn prune_orders(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// That a task is not to be run any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelOrder {
    /// The task.
    pub task: MessageId,
    /// Who ordered it; at most [`LONGEST_ACTOR`] bytes are kept.
    pub actor: String,
    /// Why, without personal data.
    pub reason: Reason,
}

/// What a task is that the store has no trace of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// Nothing: where the store [shows each task](super::QueueCapabilities::shows_each_task), there is none.
    IsUnknown,
    /// It may wait in a broker; the order is kept for whoever is handed it.
    MayBeElsewhere,
}

/// How long orders to cancel are kept at least: longer than a task waits in a broker.
pub const CANCEL_ORDERS_RETENTION: Duration = hours(25);

/// The longest name of who ordered something, in bytes.
pub const LONGEST_ACTOR: usize = 120;

impl CancelOrder {
    /// The reason the task ends with.
    pub fn outcome(&self) -> Reason {
        Reason::new(format!("{} (by {})", self.reason, self.actor))
    }
}

/// What cancelling came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancelled {
    /// It waited, and has ended as cancelled.
    Ended,
    /// It runs, is still on its way, or waits in a broker: it ends as soon as whoever has it looks.
    Requested,
    /// It had ended before.
    Over(TaskState),
    /// There is no such task.
    Unknown,
}

fn _dyn_compatible(_: Arc<dyn TaskCancellations>) {}
