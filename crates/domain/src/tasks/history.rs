//! How tasks ended, recorded for a queue that has no place of its own for that.

use std::sync::Arc;

use async_trait::async_trait;

use crate::contract::{Cause, TaskName, Tenant, TopicName};
use crate::failure::{Classified, ErrorClass};
use crate::ids::MessageId;
use crate::tasks::Outcome;
use crate::time::Timestamp;

/// Records how tasks ended whose queue is a broker, in the database where a [`TaskInspector`](super::TaskInspector) finds it
/// and [`QueueMaintenance`](super::QueueMaintenance) forgets it.
#[async_trait]
pub trait TaskHistory: Send + Sync {
    /// Whether an ending like this is to be recorded: successes by configuration, by chance where they are sampled, and all
    /// others always.
    fn keeps(&self, outcome: &Outcome) -> bool;

    /// Records these endings, all or none.
    ///
    /// **Contract**: `Ok` means durable. A task that ended twice, because it came twice, may be recorded twice. Called
    /// concurrently. Dropping the call may still record them.
    async fn record(&self, ended: Vec<EndedTask>) -> Result<(), HistoryError>;
}

/// A task that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedTask {
    /// Its id.
    pub id: MessageId,
    /// Its topic.
    pub topic: TopicName,
    /// Its name.
    pub task: TaskName,
    /// Whose it is.
    pub tenant: Tenant,
    /// Attempts, the last one included.
    pub attempts: u32,
    /// How it ended; never a snooze.
    pub outcome: Outcome,
    /// When it was first enqueued.
    pub enqueued_at: Timestamp,
    /// Why it existed.
    pub cause: Cause,
}

/// Endings were not recorded, or it is not known whether they were.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HistoryError {
    /// The store is away or too slow.
    #[error("the history of tasks is unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
}

impl Classified for HistoryError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Outage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "history.unavailable",
        }
    }
}

fn _dyn_compatible(_: Arc<dyn TaskHistory>) {}
