//! What happens to digests.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::events::DomainEvent;
use crate::reference::WeeklyDigestId;

/// A week of a project was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "DigestGenerated", version = 1, aggregate = "digest")]
pub struct DigestGenerated {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The digest.
    #[aggregate_id]
    pub digest_id: WeeklyDigestId,
}
