//! The waiting tasks of a coalescing key, changed together with the state they are about.

use std::fmt;

use async_trait::async_trait;

use crate::contract::{CoalescingKey, TaskName, Tenant, TenantMismatch, TopicName};
use crate::ids::MessageId;
use crate::tasks::coalescing::window_scope;
use crate::tasks::{Reason, Task};
use crate::time::Timestamp;
use crate::unit_of_work::StoreError;

/// What waits under coalescing keys, in an open transaction: list it, cancel it, move its time.
///
/// **Contract**: what it does happens when the transaction commits, or not at all. It sees and changes tasks of tenants that
/// the unit of work may write for. A task that a worker has is not changed by it, and one that is changed here is not handed out
/// until the transaction is over. What was written to an outbox and has not reached its topic yet is not seen: a handler
/// looks at the state it is about.
///
/// A cancelled task ends as `cancelled`. [`Once`](super::CoalescingPolicy::Once) still remembers it.
#[async_trait]
pub trait TaskWindows: Send {
    /// The tasks that wait under this key, oldest first: one, or also one that waits for a retry.
    async fn waiting(&mut self, key: &TaskKey) -> Result<Vec<WaitingTask>, StoreError>;

    /// Cancels them. Answers how many.
    async fn cancel(&mut self, key: &TaskKey, reason: &Reason) -> Result<u64, StoreError>;

    /// Lets them run at `run_at`, at once when that has passed. Answers how many.
    async fn move_to(&mut self, key: &TaskKey, run_at: Timestamp) -> Result<u64, StoreError>;
}

/// A coalescing key of one kind of task of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskKey {
    /// Whose tasks.
    pub tenant: Tenant,
    /// Their topic.
    pub topic: TopicName,
    /// Their name.
    pub task: TaskName,
    /// What they were published with.
    pub key: CoalescingKey,
}

/// A task that waits under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingTask {
    /// Its id.
    pub id: MessageId,
    /// When it is due.
    pub due_at: Timestamp,
    /// Counted attempts so far.
    pub attempts: u32,
}

impl TaskKey {
    /// The key as `T` is published with for `tenant`.
    pub fn of<T: Task>(tenant: &Tenant, key: impl fmt::Display) -> Self {
        Self {
            tenant: tenant.clone(),
            topic: T::TOPIC,
            task: T::NAME,
            key: CoalescingKey::of(key),
        }
    }

    /// Refuses a key of another tenant than the unit of work may write for.
    ///
    /// # Errors
    /// [`StoreError::Refused`] names both.
    pub fn check_tenant(&self, unit_of_work: &Tenant) -> Result<(), StoreError> {
        if unit_of_work.may_write_for(&self.tenant) {
            return Ok(());
        }
        let mismatch = TenantMismatch {
            what: format!("the key {} of {}/{}", self.key, self.topic, self.task),
            got: self.tenant.clone(),
            expected: unit_of_work.clone(),
        };
        Err(StoreError::Refused {
            operation: "change what waits under a key",
            reason: mismatch.to_string(),
        })
    }

    /// What it means to a store. Unique per topic.
    pub fn scope(&self) -> String {
        window_scope(&self.tenant, &self.task, &self.key)
    }
}
