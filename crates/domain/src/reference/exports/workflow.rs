//! What the workflow of an export is started with.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::reference::ExportId;
use crate::workflows::WorkflowInput;

/// Make the file of an export. Started under the export's id, with the row, and never again: what it left is found by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "export", version = 1, once_ever)]
pub struct RunExport {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The export.
    pub export_id: ExportId,
}
