//! An invitation.

use crate::contract::{OrganizationId, ProjectId, Tenant};
use crate::effects::EmailAddress;
use crate::reference::identity::Role;
use crate::reference::{InvitationId, UserId};
use crate::time::Timestamp;

/// An invitation to an organization, for one of its projects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The project the person comes for.
    pub project_id: ProjectId,
    /// Whom it is for. Stores keep it sealed.
    pub email: EmailAddress,
    /// What they will be.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it cannot be accepted.
    pub expires_at: Timestamp,
    /// When its e-mail was sent.
    pub emailed_at: Option<Timestamp>,
    /// Who accepted it, and when.
    pub accepted: Option<(UserId, Timestamp)>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When its expiry was told of.
    pub expired_at: Option<Timestamp>,
}

/// What an invitation has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvitationState {
    /// It can be accepted.
    Open,
    /// Someone accepted it.
    Accepted(UserId),
    /// It was taken back.
    Revoked,
    /// Its time is over.
    Expired,
}

impl Invitation {
    /// Whose it is.
    pub fn tenant(&self) -> Tenant {
        Tenant::project(&self.organization_id, &self.project_id)
    }

    /// What it has come to at `now`.
    pub fn state_at(&self, now: Timestamp) -> InvitationState {
        if let Some((user_id, _)) = self.accepted {
            InvitationState::Accepted(user_id)
        } else if self.revoked_at.is_some() {
            InvitationState::Revoked
        } else if self.expired_at.is_some() || self.expires_at <= now {
            InvitationState::Expired
        } else {
            InvitationState::Open
        }
    }
}
