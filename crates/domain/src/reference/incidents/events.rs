//! What happens to incidents.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::events::DomainEvent;
use crate::reference::IncidentId;

/// Something is in trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "IncidentOpened", version = 1, aggregate = "incident")]
pub struct IncidentOpened {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project whose records tell of it.
    pub project_id: ProjectId,
    /// The incident.
    #[aggregate_id]
    pub incident_id: IncidentId,
}

/// It is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "IncidentClosed", version = 1, aggregate = "incident")]
pub struct IncidentClosed {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project whose records tell of it.
    pub project_id: ProjectId,
    /// The incident.
    #[aggregate_id]
    pub incident_id: IncidentId,
}
