//! Work on records.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::reference::projects::ProjectDeleted;
use crate::tasks::Task;

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
