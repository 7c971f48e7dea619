//! Work on exports that is no workflow.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::reference::ExportId;
use crate::reference::exports::{ExportCancelled, ExportCompleted, ExportFailed};
use crate::reference::projects::ProjectDeleted;
use crate::tasks::Task;
use crate::time::hours;

/// How long after the end of an export nobody puts a part of it any more: an attempt to collect takes half an hour at most,
/// and the storage answers within minutes.
pub const EXPORT_SETTLED_AFTER: Duration = hours(1);

/// Remove what is left in the storage of an export that is over and does not belong to its file: the parts that a worker put
/// which was taken for dead. Runs [`EXPORT_SETTLED_AFTER`] the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "exports", name = "sweep", version = 1)]
pub struct SweepExport {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The export.
    pub export_id: ExportId,
}

/// Remove every export of a deleted project, with its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "exports", name = "purge-by-project", version = 1)]
pub struct PurgeExports {
    /// Whose they are.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
}

impl From<&ProjectDeleted> for PurgeExports {
    fn from(event: &ProjectDeleted) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
        }
    }
}

macro_rules! swept_after {
    ($($event:ident),*) => {$(
        impl From<&$event> for SweepExport {
            fn from(event: &$event) -> Self {
                Self {
                    organization_id: event.organization_id.clone(),
                    project_id: event.project_id.clone(),
                    export_id: event.export_id,
                }
            }
        }
    )*};
}

swept_after!(ExportCompleted, ExportFailed, ExportCancelled);
