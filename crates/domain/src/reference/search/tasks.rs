//! Work on the search index.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::reference::RecordId;
use crate::reference::projects::ProjectDeleted;
use crate::reference::records::RecordSettled;
use crate::tasks::Task;

/// Take a record into the search index as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
pub struct RefreshSearchIndex {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The record.
    pub record_id: RecordId,
}

/// Remove everything of a deleted project from the search index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "purge-by-project", version = 1)]
pub struct PurgeSearchIndex {
    /// Whose it was.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
}

impl From<&RecordSettled> for RefreshSearchIndex {
    fn from(event: &RecordSettled) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            record_id: event.record_id,
        }
    }
}

impl From<&ProjectDeleted> for PurgeSearchIndex {
    fn from(event: &ProjectDeleted) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
        }
    }
}
