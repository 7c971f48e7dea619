//! Work on records.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId, StorageKey};
use crate::reference::RecordId;
use crate::reference::projects::ProjectDeleted;
use crate::reference::records::RecordsIngested;
use crate::tasks::Task;

/// Ask for each record of a batch to be settled. A task, because a route has no store to look the batch up in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "records", name = "fan-out", version = 1)]
pub struct FanOutRecords {
    /// Whose they are.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The batch.
    pub batch: StorageKey,
}

/// Tell that a record has settled. Debounced by record: it runs once the record has not come for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "records", name = "settle", version = 1)]
pub struct SettleRecord {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The record.
    pub record_id: RecordId,
}

/// Remove every record of a deleted project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "records", name = "purge-by-project", version = 1)]
pub struct PurgeRecords {
    /// Whose they are.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
}

impl From<&ProjectDeleted> for PurgeRecords {
    fn from(event: &ProjectDeleted) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
        }
    }
}

impl From<&RecordsIngested> for FanOutRecords {
    fn from(event: &RecordsIngested) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            batch: event.batch.clone(),
        }
    }
}
