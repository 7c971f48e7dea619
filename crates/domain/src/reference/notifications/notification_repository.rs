//! Where notifications and what people want of them are kept.

use async_trait::async_trait;

use crate::contract::ProjectId;
use crate::ids::MessageId;
use crate::reference::invitations::EmailClaim;
use crate::reference::notifications::{Notification, NotificationPreferences};
use crate::reference::{NotificationId, UserId};
use crate::time::Timestamp;
use crate::unit_of_work::StoreError;

/// Keeps the notifications of the unit of work's organization. A person has one of each idempotency key.
#[async_trait]
pub trait NotificationRepository: Send {
    /// Adds a notification. `Ok(false)` when the person has one of its key already.
    async fn insert_if_absent(&mut self, notification: &Notification) -> Result<bool, StoreError>;

    /// A notification. `Ok(None)` when there is none, or none any more.
    async fn find(&mut self, id: NotificationId) -> Result<Option<Notification>, StoreError>;

    /// Claims the sending of its e-mail. A claim of another task holds until `stale_before`; one of the same task is taken
    /// over, so that a redelivered task goes on where it was lost.
    async fn claim_email(
        &mut self,
        id: NotificationId,
        task: MessageId,
        at: Timestamp,
        stale_before: Timestamp,
    ) -> Result<EmailClaim, StoreError>;

    /// Records that its e-mail was sent. `Ok(false)` when it was recorded before, or there is none any more.
    async fn record_emailed(&mut self, id: NotificationId, at: Timestamp) -> Result<bool, StoreError>;

    /// Removes up to `limit` of those about a project. Answers how many.
    async fn delete_by_project(&mut self, project: &ProjectId, limit: u32) -> Result<u64, StoreError>;
}

/// Keeps what the members of the unit of work's organization want to be told by e-mail.
#[async_trait]
pub trait NotificationPreferencesRepository: Send {
    /// What a person wants. `Ok(None)` when they never said.
    async fn find(&mut self, user_id: UserId) -> Result<Option<NotificationPreferences>, StoreError>;

    /// Keeps what a person wants, instead of what they wanted.
    async fn put(
        &mut self,
        user_id: UserId,
        preferences: &NotificationPreferences,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}
