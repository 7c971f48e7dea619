//! What happens to projects.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::events::DomainEvent;

/// A project was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "ProjectCreated", version = 1, aggregate = "project")]
pub struct ProjectCreated {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    #[aggregate_id]
    pub project_id: ProjectId,
}

/// A project was deleted; what it holds is still to be purged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "ProjectDeleted", version = 1, aggregate = "project")]
pub struct ProjectDeleted {
    /// Whose it was.
    pub organization_id: OrganizationId,
    /// The project.
    #[aggregate_id]
    pub project_id: ProjectId,
}

/// A project got its first record. Happens once in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "FirstRecordReceived", version = 1, aggregate = "project")]
pub struct FirstRecordReceived {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    #[aggregate_id]
    pub project_id: ProjectId,
}
