//! Notifications, and what people want of them.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::invitations::EmailClaim;
use aftercommit_domain::reference::notifications::{
    Notification, NotificationPreferences, NotificationPreferencesRepository, NotificationRepository,
};
use aftercommit_domain::reference::{NotificationId, UserId, Wrong};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, corrupt, organization_id, project_id};

#[derive(sqlx::FromRow)]
struct NotificationRow {
    organization_id: String,
    id: Uuid,
    project_id: String,
    user_id: Uuid,
    kind: String,
    subject_id: Uuid,
    idempotency_key: String,
    created_at: Timestamp,
    emailed_at: Option<Timestamp>,
}

#[async_trait]
impl NotificationRepository for Rows<'_> {
    async fn insert_if_absent(&mut self, notification: &Notification) -> Result<bool, StoreError> {
        let insert = sqlx::query(
            "INSERT INTO reference.notifications (organization_id, id, project_id, user_id, kind, subject_id, \
             idempotency_key, created_at, emailed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (organization_id, user_id, idempotency_key) DO NOTHING",
        )
        .bind(notification.organization_id.as_str())
        .bind(notification.id.uuid())
        .bind(notification.project_id.as_str())
        .bind(notification.user_id.uuid())
        .bind(notification.kind.as_str())
        .bind(notification.subject_id)
        .bind(&notification.idempotency_key)
        .bind(notification.created_at)
        .bind(notification.emailed_at);
        Ok(self.run("notifications.insert_if_absent", insert).await? == 1)
    }

    async fn find(&mut self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        let select = sqlx::query_as::<_, NotificationRow>(
            "SELECT organization_id, id, project_id, user_id, kind, subject_id, idempotency_key, created_at, emailed_at \
             FROM reference.notifications WHERE organization_id = $1 AND id = $2",
        )
        .bind(self.organization)
        .bind(id.uuid());
        let row = self.optional("notifications.find", select).await?;
        row.map(Notification::try_from).transpose()
    }

    async fn claim_email(
        &mut self,
        id: NotificationId,
        task: MessageId,
        at: Timestamp,
        stale_before: Timestamp,
    ) -> Result<EmailClaim, StoreError> {
        const OPERATION: &str = "notifications.claim_email";
        let update = sqlx::query(
            "UPDATE reference.notifications SET email_task = $1, email_claimed_at = $2 \
             WHERE organization_id = $3 AND id = $4 AND emailed_at IS NULL \
             AND (email_task IS NULL OR email_task = $1 OR email_claimed_at < $5)",
        )
        .bind(task.uuid())
        .bind(at)
        .bind(self.organization)
        .bind(id.uuid())
        .bind(stale_before);
        if self.run(OPERATION, update).await? == 1 {
            return Ok(EmailClaim::Claimed);
        }
        let waits = sqlx::query_as::<_, (bool,)>(
            "SELECT emailed_at IS NULL FROM reference.notifications WHERE organization_id = $1 AND id = $2",
        )
        .bind(self.organization)
        .bind(id.uuid());
        match self.optional(OPERATION, waits).await? {
            Some((true,)) => Ok(EmailClaim::HeldByAnother),
            Some((false,)) => Ok(EmailClaim::AlreadySent),
            // Not that it was sent: under another tenant it would look the same.
            None => Err(StoreError::Refused {
                operation: OPERATION,
                reason: "there is no such notification".into(),
            }),
        }
    }

    async fn record_emailed(&mut self, id: NotificationId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference.notifications SET emailed_at = $1 WHERE organization_id = $2 AND id = $3 \
             AND emailed_at IS NULL",
        )
        .bind(at)
        .bind(self.organization)
        .bind(id.uuid());
        Ok(self.run("notifications.record_emailed", update).await? == 1)
    }

    async fn delete_by_project(&mut self, project: &ProjectId, limit: u32) -> Result<u64, StoreError> {
        let delete = sqlx::query(
            "DELETE FROM reference.notifications WHERE organization_id = $1 AND id = ANY (ARRAY( \
                SELECT id FROM reference.notifications WHERE organization_id = $1 AND project_id = $2 \
                ORDER BY id LIMIT $3 FOR UPDATE \
             ))",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(i64::from(limit));
        self.run("notifications.delete_by_project", delete).await
    }
}

#[async_trait]
impl NotificationPreferencesRepository for Rows<'_> {
    async fn find(&mut self, user_id: UserId) -> Result<Option<NotificationPreferences>, StoreError> {
        let select = sqlx::query_as::<_, (bool, bool)>(
            "SELECT incident_emails, digest_emails FROM reference.notification_preferences \
             WHERE organization_id = $1 AND user_id = $2",
        )
        .bind(self.organization)
        .bind(user_id.uuid());
        let row = self.optional("notification_preferences.find", select).await?;
        Ok(row.map(|(incident_emails, digest_emails)| NotificationPreferences {
            incident_emails,
            digest_emails,
        }))
    }

    async fn put(
        &mut self,
        user_id: UserId,
        preferences: &NotificationPreferences,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let upsert = sqlx::query(
            "INSERT INTO reference.notification_preferences (organization_id, user_id, incident_emails, digest_emails, \
             updated_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id, user_id) DO UPDATE \
             SET incident_emails = excluded.incident_emails, digest_emails = excluded.digest_emails, \
             updated_at = excluded.updated_at",
        )
        .bind(self.organization)
        .bind(user_id.uuid())
        .bind(preferences.incident_emails)
        .bind(preferences.digest_emails)
        .bind(at);
        self.run("notification_preferences.put", upsert).await.map(|_| ())
    }
}

impl TryFrom<NotificationRow> for Notification {
    type Error = StoreError;

    fn try_from(row: NotificationRow) -> Result<Self, StoreError> {
        const WHAT: &str = "notification";
        Ok(Self {
            id: NotificationId::from(row.id),
            organization_id: organization_id(&row.organization_id, WHAT)?,
            project_id: project_id(&row.project_id, WHAT)?,
            user_id: UserId::from(row.user_id),
            kind: row.kind.parse().map_err(|wrong: Wrong| corrupt(WHAT, &wrong))?,
            subject_id: row.subject_id,
            idempotency_key: row.idempotency_key,
            created_at: row.created_at,
            emailed_at: row.emailed_at,
        })
    }
}
