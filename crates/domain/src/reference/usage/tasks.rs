//! Work on usage.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId, StorageKey};
use crate::reference::records::RecordsIngested;
use crate::tasks::Task;

/// Add a batch of records to the usage of its project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "usage", name = "record-batch", version = 1)]
pub struct RecordUsage {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The batch.
    pub batch: StorageKey,
    /// How many records it has.
    pub records: u32,
}

impl From<&RecordsIngested> for RecordUsage {
    fn from(event: &RecordsIngested) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            batch: event.batch.clone(),
            records: event.record_count,
        }
    }
}
