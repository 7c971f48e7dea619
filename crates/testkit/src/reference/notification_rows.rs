//! Notifications, and what people want of them, in memory.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::invitations::EmailClaim;
use aftercommit_domain::reference::notifications::{
    Notification, NotificationPreferences, NotificationPreferencesRepository, NotificationRepository,
};
use aftercommit_domain::reference::{NotificationId, UserId};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::tables::{NotificationRow, Rows};

impl Rows<'_> {
    fn notification(&mut self, id: NotificationId) -> Option<&mut NotificationRow> {
        let key = self.key(id)?;
        self.tables.notifications.get_mut(&key)
    }
}

#[async_trait]
impl NotificationRepository for Rows<'_> {
    async fn insert_if_absent(&mut self, notification: &Notification) -> Result<bool, StoreError> {
        let is_same = |row: &NotificationRow| {
            let known = &row.notification;
            known.organization_id == notification.organization_id
                && known.user_id == notification.user_id
                && known.idempotency_key == notification.idempotency_key
        };
        if self.tables.notifications.values().any(is_same) {
            return Ok(false);
        }
        let key = (notification.organization_id.clone(), notification.id);
        let row = NotificationRow {
            notification: notification.clone(),
            claim: None,
        };
        self.tables.notifications.insert(key, row);
        Ok(true)
    }

    async fn find(&mut self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        Ok(self.notification(id).map(|row| row.notification.clone()))
    }

    async fn claim_email(
        &mut self,
        id: NotificationId,
        task: MessageId,
        at: Timestamp,
        stale_before: Timestamp,
    ) -> Result<EmailClaim, StoreError> {
        // Under another tenant it would look the same.
        let Some(row) = self.notification(id) else {
            return Err(StoreError::Refused {
                operation: "notifications.claim_email",
                reason: "there is no such notification in this organization".into(),
            });
        };
        if row.notification.emailed_at.is_some() {
            return Ok(EmailClaim::AlreadySent);
        }
        match row.claim {
            Some((by, since)) if by != task && since >= stale_before => Ok(EmailClaim::HeldByAnother),
            Some(_) | None => {
                row.claim = Some((task, at));
                Ok(EmailClaim::Claimed)
            }
        }
    }

    async fn record_emailed(&mut self, id: NotificationId, at: Timestamp) -> Result<bool, StoreError> {
        let row = self
            .notification(id)
            .filter(|row| row.notification.emailed_at.is_none());
        Ok(row.map(|row| row.notification.emailed_at = Some(at)).is_some())
    }

    async fn delete_by_project(&mut self, project: &ProjectId, limit: u32) -> Result<u64, StoreError> {
        let mut left = u64::from(limit);
        let organization = self.organization.clone();
        self.tables.notifications.retain(|(of, _), row| {
            let deleted = left > 0 && organization.as_ref() == Some(of) && row.notification.project_id == *project;
            left -= u64::from(deleted);
            !deleted
        });
        Ok(u64::from(limit) - left)
    }
}

#[async_trait]
impl NotificationPreferencesRepository for Rows<'_> {
    async fn find(&mut self, user_id: UserId) -> Result<Option<NotificationPreferences>, StoreError> {
        let key = self.key(user_id);
        Ok(key.and_then(|key| self.tables.notification_preferences.get(&key).copied()))
    }

    async fn put(
        &mut self,
        user_id: UserId,
        preferences: &NotificationPreferences,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(key) = self.key(user_id) {
            self.tables.notification_preferences.insert(key, *preferences);
        }
        Ok(())
    }
}
