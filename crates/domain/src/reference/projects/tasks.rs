//! Work on projects.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::reference::projects::ProjectCreated;
use crate::reference::records::RecordsIngested;
use crate::tasks::Task;

/// Give a new project what every project begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "projects", name = "provision", version = 1)]
pub struct ProvisionProject {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
}

/// Find out whether the project just got its first record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "projects", name = "check-first-record", version = 1)]
pub struct CheckFirstRecord {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
}

impl From<&ProjectCreated> for ProvisionProject {
    fn from(event: &ProjectCreated) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
        }
    }
}

impl From<&RecordsIngested> for CheckFirstRecord {
    fn from(event: &RecordsIngested) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
        }
    }
}
