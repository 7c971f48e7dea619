//! Where invitations are kept.

use async_trait::async_trait;

use crate::ids::MessageId;
use crate::reference::invitations::Invitation;
use crate::reference::{Digest, InvitationId, UserId};
use crate::time::Timestamp;
use crate::unit_of_work::StoreError;

/// Keeps the invitations of the unit of work's organization. Addresses are never stored in clear, tokens as digests
/// only. `accept`, `revoke` and `expire` change an invitation at most once between them: `Ok(false)` when one of them
/// was there before, or there is no such invitation. `prolong` changes it as long as none of them did.
#[async_trait]
pub trait InvitationRepository: Send {
    /// Adds an invitation.
    async fn insert(&mut self, invitation: &Invitation) -> Result<(), StoreError>;

    /// An invitation in whatever state. `Ok(None)` when there is none.
    async fn find(&mut self, id: InvitationId) -> Result<Option<Invitation>, StoreError>;

    /// Marks it accepted by `user_id`.
    async fn accept(&mut self, id: InvitationId, user_id: UserId, at: Timestamp) -> Result<bool, StoreError>;

    /// Marks it revoked.
    async fn revoke(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError>;

    /// Moves its expiry.
    async fn prolong(&mut self, id: InvitationId, expires_at: Timestamp) -> Result<bool, StoreError>;

    /// Marks that its expiry was told of.
    async fn expire(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError>;

    /// Claims the sending of its e-mail. A claim of another task holds until `stale_before`; one of the same task is
    /// taken over, so that a redelivered task goes on where it was lost.
    async fn claim_email(
        &mut self,
        id: InvitationId,
        task: MessageId,
        at: Timestamp,
        stale_before: Timestamp,
    ) -> Result<EmailClaim, StoreError>;

    /// Records that its e-mail was sent. `Ok(false)` when it was recorded before.
    async fn record_emailed(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError>;

    /// Adds a token that accepts it. Each e-mail has one of its own and all of them work, since any of them may have
    /// arrived; of more than `keep` the oldest is dropped.
    async fn add_token(&mut self, id: InvitationId, token: &Digest, at: Timestamp, keep: u32)
    -> Result<(), StoreError>;

    /// Whether this token accepts it.
    async fn has_token(&mut self, id: InvitationId, token: &Digest) -> Result<bool, StoreError>;
}

/// What claiming an e-mail came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailClaim {
    /// This task sends it.
    Claimed,
    /// It was sent.
    AlreadySent,
    /// Another task is about to send it.
    HeldByAnother,
}
