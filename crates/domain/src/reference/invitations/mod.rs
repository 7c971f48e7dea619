//! Invitations: how people come into an organization.

mod events;
mod invitation;
mod invitation_repository;
mod tasks;
pub mod use_cases;

pub use events::{InvitationCreated, InvitationEmailRequested, InvitationExpired, InvitationProlonged};
pub use invitation::{Invitation, InvitationState};
pub use invitation_repository::{EmailClaim, InvitationRepository};
pub use tasks::{ExpireInvitation, SendInvitationEmail};
