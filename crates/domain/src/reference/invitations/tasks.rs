//! Work on invitations.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId, Tenant};
use crate::reference::InvitationId;
use crate::reference::invitations::{Invitation, InvitationCreated, InvitationEmailRequested, InvitationProlonged};
use crate::tasks::{Task, TaskKey};

/// Send the e-mail of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "invitation-email", name = "send", version = 1)]
#[exempt(
    organization,
    "an invitation is to an organization; its project is looked up with it"
)]
pub struct SendInvitationEmail {
    /// To which organization.
    pub organization_id: OrganizationId,
    /// The invitation.
    pub invitation_id: InvitationId,
}

/// Tell of an invitation's expiry, if nobody accepted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "invitations", name = "expire", version = 1)]
pub struct ExpireInvitation {
    /// To which organization.
    pub organization_id: OrganizationId,
    /// For which project.
    pub project_id: ProjectId,
    /// The invitation.
    pub invitation_id: InvitationId,
}

impl ExpireInvitation {
    /// The key under which the expiry of an invitation waits, to be cancelled once it is decided otherwise.
    pub fn key_of(invitation: &Invitation) -> TaskKey {
        let tenant = Tenant::project(&invitation.organization_id, &invitation.project_id);
        TaskKey::of::<Self>(&tenant, invitation.id)
    }
}

impl From<&InvitationEmailRequested> for SendInvitationEmail {
    fn from(event: &InvitationEmailRequested) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            invitation_id: event.invitation_id,
        }
    }
}

impl From<&InvitationCreated> for ExpireInvitation {
    fn from(event: &InvitationCreated) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            invitation_id: event.invitation_id,
        }
    }
}

impl From<&InvitationProlonged> for ExpireInvitation {
    fn from(event: &InvitationProlonged) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            invitation_id: event.invitation_id,
        }
    }
}
