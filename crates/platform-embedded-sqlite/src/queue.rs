//! The queue: topics of tasks in a table.

pub(crate) mod coalescing;
mod consumer;
mod delivery;
pub(crate) mod insertion;
mod maintenance;
mod publisher;
mod pump;
pub(crate) mod settlement;
mod windowed;

use std::fmt;
use std::sync::Arc;

use crate::database::Inner;

/// The queue of a database. Implements `QueuePublisher`, `QueueConsumer`, `QueueMaintenance`, `TaskInspector`,
/// `TaskCancellations` and `TaskPauses`.
#[derive(Clone)]
pub struct SqliteQueue {
    pub(crate) database: Arc<Inner>,
}

impl fmt::Debug for SqliteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteQueue").finish_non_exhaustive()
    }
}
