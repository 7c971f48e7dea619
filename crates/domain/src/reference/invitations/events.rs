//! What happens to invitations.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::events::DomainEvent;
use crate::reference::InvitationId;
use crate::time::Timestamp;

/// Someone was invited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "InvitationCreated", version = 1, aggregate = "invitation")]
pub struct InvitationCreated {
    /// To which organization.
    pub organization_id: OrganizationId,
    /// For which project.
    pub project_id: ProjectId,
    /// The invitation.
    #[aggregate_id]
    pub invitation_id: InvitationId,
    /// When it will expire, as it was decided then.
    pub expires_at: Timestamp,
}

/// An invitation can be accepted for longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "InvitationProlonged", version = 1, aggregate = "invitation")]
pub struct InvitationProlonged {
    /// To which organization.
    pub organization_id: OrganizationId,
    /// For which project.
    pub project_id: ProjectId,
    /// The invitation.
    #[aggregate_id]
    pub invitation_id: InvitationId,
    /// When it will expire, as it was decided then.
    pub expires_at: Timestamp,
}

/// The e-mail of an invitation is to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "InvitationEmailRequested", version = 1, aggregate = "invitation")]
#[exempt(
    organization,
    "an invitation is to an organization; its project is looked up with it"
)]
pub struct InvitationEmailRequested {
    /// To which organization.
    pub organization_id: OrganizationId,
    /// The invitation.
    #[aggregate_id]
    pub invitation_id: InvitationId,
}

/// Nobody accepted an invitation in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "InvitationExpired", version = 1, aggregate = "invitation")]
pub struct InvitationExpired {
    /// To which organization.
    pub organization_id: OrganizationId,
    /// For which project.
    pub project_id: ProjectId,
    /// The invitation.
    #[aggregate_id]
    pub invitation_id: InvitationId,
}
