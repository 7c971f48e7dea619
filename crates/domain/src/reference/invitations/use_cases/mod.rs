//! What can be done with invitations.

mod accept_invitation;
mod claim_invitation_email;
mod create_invitation;
mod expire_invitation;
mod prolong_invitation;
mod record_invitation_email;
mod revoke_invitation;

pub use accept_invitation::{InvitationAcceptance, accept_invitation};
pub use claim_invitation_email::{InvitationEmail, claim_invitation_email};
pub use create_invitation::{CreateInvitation, InvitationCreation, create_invitation};
pub use expire_invitation::expire_invitation;
pub use prolong_invitation::{InvitationProlongation, prolong_invitation};
pub use record_invitation_email::record_invitation_email;
pub use revoke_invitation::revoke_invitation;
