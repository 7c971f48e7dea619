//! What happens to exports.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::events::DomainEvent;
use crate::reference::ExportId;

/// The file of an export can be downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "ExportCompleted", version = 1, aggregate = "export")]
pub struct ExportCompleted {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The export.
    #[aggregate_id]
    pub export_id: ExportId,
}

/// An export cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "ExportFailed", version = 1, aggregate = "export")]
pub struct ExportFailed {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The export.
    #[aggregate_id]
    pub export_id: ExportId,
}

/// An export was not wanted any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "ExportCancelled", version = 1, aggregate = "export")]
pub struct ExportCancelled {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The export.
    #[aggregate_id]
    pub export_id: ExportId,
}
