//! Invitations.

use aftercommit_domain::contract::{OrganizationId, Sealer, Tenant};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::invitations::{EmailClaim, Invitation, InvitationRepository};
use aftercommit_domain::reference::{Digest, InvitationId, UserId, Wrong};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, bounded, corrupt, organization_id, project_id, time};
use super::sealed_email::Place;
use crate::columns::{micros, timestamp};

#[derive(sqlx::FromRow)]
struct InvitationRow {
    organization_id: String,
    id: Uuid,
    project_id: String,
    email_key: String,
    email: Vec<u8>,
    role: String,
    created_at: i64,
    expires_at: i64,
    emailed_at: Option<i64>,
    accepted_by: Option<Uuid>,
    accepted_at: Option<i64>,
    revoked_at: Option<i64>,
    expired_at: Option<i64>,
}

fn email_of(organization: &OrganizationId, id: Uuid) -> Place<'static> {
    Place {
        tenant: Tenant::organization(organization),
        column: "reference_invitations.email",
        row: id,
    }
}

#[async_trait]
impl InvitationRepository for Rows<'_> {
    async fn insert(&mut self, invitation: &Invitation) -> Result<(), StoreError> {
        let id = invitation.id.uuid();
        let sealed = email_of(&invitation.organization_id, id).seal(self.sealer, &invitation.email)?;
        let insert = sqlx::query(
            "INSERT INTO reference_invitations (organization_id, id, project_id, email_key, email, role, created_at, \
             expires_at, emailed_at, accepted_by, accepted_at, revoked_at, expired_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(invitation.organization_id.as_str())
        .bind(id)
        .bind(invitation.project_id.as_str())
        .bind(sealed.key_id)
        .bind(sealed.bytes)
        .bind(invitation.role.as_str())
        .bind(micros(invitation.created_at))
        .bind(micros(invitation.expires_at))
        .bind(invitation.emailed_at.map(micros))
        .bind(invitation.accepted.map(|(by, _)| by.uuid()))
        .bind(invitation.accepted.map(|(_, at)| micros(at)))
        .bind(invitation.revoked_at.map(micros))
        .bind(invitation.expired_at.map(micros));
        self.run("invitations.insert", insert).await?;
        Ok(())
    }

    async fn find(&mut self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        let select = sqlx::query_as::<_, InvitationRow>(
            "SELECT organization_id, id, project_id, email_key, email, role, created_at, expires_at, emailed_at, \
             accepted_by, accepted_at, revoked_at, expired_at \
             FROM reference_invitations WHERE organization_id = ? AND id = ?",
        )
        .bind(self.organization)
        .bind(id.uuid());
        let row = bounded("invitations.find", select.fetch_optional(&mut *self.connection)).await?;
        row.map(|row| row.open(self.sealer)).transpose()
    }

    async fn accept(&mut self, id: InvitationId, user_id: UserId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference_invitations SET accepted_at = ?, accepted_by = ? WHERE organization_id = ? AND id = ? \
             AND accepted_at IS NULL AND revoked_at IS NULL AND expired_at IS NULL",
        )
        .bind(micros(at))
        .bind(user_id.uuid())
        .bind(self.organization)
        .bind(id.uuid());
        Ok(self.run("invitations.accept", update).await? == 1)
    }

    async fn revoke(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference_invitations SET revoked_at = ? WHERE organization_id = ? AND id = ? \
             AND accepted_at IS NULL AND revoked_at IS NULL AND expired_at IS NULL",
        )
        .bind(micros(at))
        .bind(self.organization)
        .bind(id.uuid());
        Ok(self.run("invitations.revoke", update).await? == 1)
    }

    async fn prolong(&mut self, id: InvitationId, expires_at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference_invitations SET expires_at = ? WHERE organization_id = ? AND id = ? \
             AND accepted_at IS NULL AND revoked_at IS NULL AND expired_at IS NULL",
        )
        .bind(micros(expires_at))
        .bind(self.organization)
        .bind(id.uuid());
        Ok(self.run("invitations.prolong", update).await? == 1)
    }

    async fn expire(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference_invitations SET expired_at = ? WHERE organization_id = ? AND id = ? \
             AND accepted_at IS NULL AND revoked_at IS NULL AND expired_at IS NULL",
        )
        .bind(micros(at))
        .bind(self.organization)
        .bind(id.uuid());
        Ok(self.run("invitations.expire", update).await? == 1)
    }

    async fn claim_email(
        &mut self,
        id: InvitationId,
        task: MessageId,
        at: Timestamp,
        stale_before: Timestamp,
    ) -> Result<EmailClaim, StoreError> {
        const OPERATION: &str = "invitations.claim_email";
        let update = sqlx::query(
            "UPDATE reference_invitations SET email_task = ?1, email_claimed_at = ?2 \
             WHERE organization_id = ?3 AND id = ?4 AND emailed_at IS NULL \
             AND (email_task IS NULL OR email_task = ?1 OR email_claimed_at < ?5)",
        )
        .bind(task.uuid())
        .bind(micros(at))
        .bind(self.organization)
        .bind(id.uuid())
        .bind(micros(stale_before));
        if self.run(OPERATION, update).await? == 1 {
            return Ok(EmailClaim::Claimed);
        }
        let waits = sqlx::query_scalar::<_, bool>(
            "SELECT emailed_at IS NULL FROM reference_invitations WHERE organization_id = ? AND id = ?",
        )
        .bind(self.organization)
        .bind(id.uuid());
        let waits = bounded(OPERATION, waits.fetch_optional(&mut *self.connection)).await?;
        match waits {
            Some(true) => Ok(EmailClaim::HeldByAnother),
            Some(false) => Ok(EmailClaim::AlreadySent),
            // Not that it was sent: under another tenant it would look the same.
            None => Err(StoreError::Refused {
                operation: OPERATION,
                reason: "there is no such invitation in this organization".into(),
            }),
        }
    }

    async fn record_emailed(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference_invitations SET emailed_at = ? WHERE organization_id = ? AND id = ? \
             AND emailed_at IS NULL",
        )
        .bind(micros(at))
        .bind(self.organization)
        .bind(id.uuid());
        Ok(self.run("invitations.record_emailed", update).await? == 1)
    }

    async fn add_token(
        &mut self,
        id: InvitationId,
        token: &Digest,
        at: Timestamp,
        keep: u32,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "invitations.add_token";
        let insert = sqlx::query(
            "INSERT INTO reference_invitation_tokens (organization_id, invitation_id, token, created_at) \
             VALUES (?, ?, ?, ?)",
        )
        .bind(self.organization)
        .bind(id.uuid())
        .bind(token.as_bytes().to_vec())
        .bind(micros(at));
        self.run(OPERATION, insert).await?;
        let delete = sqlx::query(
            "DELETE FROM reference_invitation_tokens WHERE number IN \
             (SELECT number FROM reference_invitation_tokens WHERE organization_id = ? AND invitation_id = ? \
              ORDER BY number DESC LIMIT -1 OFFSET ?)",
        )
        .bind(self.organization)
        .bind(id.uuid())
        .bind(keep);
        self.run(OPERATION, delete).await?;
        Ok(())
    }

    async fn has_token(&mut self, id: InvitationId, token: &Digest) -> Result<bool, StoreError> {
        let select = sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT 1 FROM reference_invitation_tokens \
             WHERE organization_id = ? AND invitation_id = ? AND token = ?)",
        )
        .bind(self.organization)
        .bind(id.uuid())
        .bind(token.as_bytes().to_vec());
        bounded("invitations.has_token", select.fetch_one(&mut *self.connection)).await
    }
}

impl InvitationRow {
    fn open(self, sealer: &dyn Sealer) -> Result<Invitation, StoreError> {
        const WHAT: &str = "invitation";
        let organization_id = organization_id(&self.organization_id, WHAT)?;
        Ok(Invitation {
            id: InvitationId::from(self.id),
            email: email_of(&organization_id, self.id).open(sealer, self.email_key, self.email)?,
            organization_id,
            project_id: project_id(&self.project_id, WHAT)?,
            role: self.role.parse().map_err(|error: Wrong| corrupt(WHAT, &error))?,
            created_at: timestamp(self.created_at),
            expires_at: timestamp(self.expires_at),
            emailed_at: time(self.emailed_at),
            accepted: self.accepted_by.map(UserId::from).zip(time(self.accepted_at)),
            revoked_at: time(self.revoked_at),
            expired_at: time(self.expired_at),
        })
    }
}
