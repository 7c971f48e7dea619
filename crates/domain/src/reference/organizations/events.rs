//! What happens to organizations.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::events::DomainEvent;

/// An organization was made, together with its default project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "OrganizationCreated", version = 1, aggregate = "organization")]
pub struct OrganizationCreated {
    /// The organization.
    #[aggregate_id]
    pub organization_id: OrganizationId,
    /// Its default project.
    pub project_id: ProjectId,
}
