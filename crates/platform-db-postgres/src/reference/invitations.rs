//! Invitations.

use aftercommit_domain::contract::{OrganizationId, Sealer, Tenant};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::invitations::{EmailClaim, Invitation, InvitationRepository};
use aftercommit_domain::reference::{Digest, InvitationId, UserId, Wrong};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, corrupt, organization_id, project_id};
use super::sealed_email::Place;

#[derive(sqlx::FromRow)]
struct InvitationRow {
    organization_id: String,
    id: Uuid,
    project_id: String,
    email_key: String,
    email: Vec<u8>,
    role: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    emailed_at: Option<Timestamp>,
    accepted_by: Option<Uuid>,
    accepted_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    expired_at: Option<Timestamp>,
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
            "INSERT INTO reference.invitations (organization_id, id, project_id, email_key, email, role, created_at, \
             expires_at, emailed_at, accepted_by, accepted_at, revoked_at, expired_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(invitation.organization_id.as_str())
        .bind(id)
        .bind(invitation.project_id.as_str())
        .bind(sealed.key_id)
        .bind(sealed.bytes)
        .bind(invitation.role.as_str())
        .bind(invitation.created_at)
        .bind(invitation.expires_at)
        .bind(invitation.emailed_at)
        .bind(invitation.accepted.map(|(by, _)| by.uuid()))
        .bind(invitation.accepted.map(|(_, at)| at))
        .bind(invitation.revoked_at)
        .bind(invitation.expired_at);
        self.run("invitations.insert", insert).await?;
        Ok(())
    }

    async fn find(&mut self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        let select = sqlx::query_as::<_, InvitationRow>(
            "SELECT organization_id, id, project_id, email_key, email, role, created_at, expires_at, emailed_at, \
             accepted_by, accepted_at, revoked_at, expired_at \
             FROM reference.invitations WHERE organization_id = $1 AND id = $2",
        )
        .bind(self.organization)
        .bind(id.uuid());
        let row = self.optional("invitations.find", select).await?;
        row.map(|row| row.open(self.sealer)).transpose()
    }

    async fn accept(&mut self, id: InvitationId, user_id: UserId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference.invitations SET accepted_at = $1, accepted_by = $2 WHERE organization_id = $3 AND id = $4 \
             AND accepted_at IS NULL AND revoked_at IS NULL AND expired_at IS NULL",
        )
        .bind(at)
        .bind(user_id.uuid())
        .bind(self.organization)
        .bind(id.uuid());
        Ok(self.run("invitations.accept", update).await? == 1)
    }

    async fn revoke(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference.invitations SET revoked_at = $1 WHERE organization_id = $2 AND id = $3 \
             AND accepted_at IS NULL AND revoked_at IS NULL AND expired_at IS NULL",
        )
        .bind(at)
        .bind(self.organization)
        .bind(id.uuid());
        Ok(self.run("invitations.revoke", update).await? == 1)
    }

    async fn prolong(&mut self, id: InvitationId, expires_at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference.invitations SET expires_at = $1 WHERE organization_id = $2 AND id = $3 \
             AND accepted_at IS NULL AND revoked_at IS NULL AND expired_at IS NULL",
        )
        .bind(expires_at)
        .bind(self.organization)
        .bind(id.uuid());
        Ok(self.run("invitations.prolong", update).await? == 1)
    }

    async fn expire(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference.invitations SET expired_at = $1 WHERE organization_id = $2 AND id = $3 \
             AND accepted_at IS NULL AND revoked_at IS NULL AND expired_at IS NULL",
        )
        .bind(at)
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
            "UPDATE reference.invitations SET email_task = $1, email_claimed_at = $2 \
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
            "SELECT emailed_at IS NULL FROM reference.invitations WHERE organization_id = $1 AND id = $2",
        )
        .bind(self.organization)
        .bind(id.uuid());
        match self.optional(OPERATION, waits).await? {
            Some((true,)) => Ok(EmailClaim::HeldByAnother),
            Some((false,)) => Ok(EmailClaim::AlreadySent),
            // Not that it was sent: under another tenant it would look the same.
            None => Err(StoreError::Refused {
                operation: OPERATION,
                reason: "there is no such invitation".into(),
            }),
        }
    }

    async fn record_emailed(&mut self, id: InvitationId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference.invitations SET emailed_at = $1 WHERE organization_id = $2 AND id = $3 \
             AND emailed_at IS NULL",
        )
        .bind(at)
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
            "INSERT INTO reference.invitation_tokens (organization_id, invitation_id, token, created_at) \
             VALUES ($1, $2, $3, $4)",
        )
        .bind(self.organization)
        .bind(id.uuid())
        .bind(token.as_bytes().to_vec())
        .bind(at);
        self.run(OPERATION, insert).await?;
        let delete = sqlx::query(
            "DELETE FROM reference.invitation_tokens WHERE number = ANY (ARRAY( \
                SELECT number FROM reference.invitation_tokens WHERE organization_id = $1 AND invitation_id = $2 \
                ORDER BY number DESC OFFSET $3 \
             ))",
        )
        .bind(self.organization)
        .bind(id.uuid())
        .bind(i64::from(keep));
        self.run(OPERATION, delete).await?;
        Ok(())
    }

    async fn has_token(&mut self, id: InvitationId, token: &Digest) -> Result<bool, StoreError> {
        let select = sqlx::query_as::<_, (bool,)>(
            "SELECT EXISTS (SELECT FROM reference.invitation_tokens \
             WHERE organization_id = $1 AND invitation_id = $2 AND token = $3)",
        )
        .bind(self.organization)
        .bind(id.uuid())
        .bind(token.as_bytes().to_vec());
        let (exists,) = self.one("invitations.has_token", select).await?;
        Ok(exists)
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
            created_at: self.created_at,
            expires_at: self.expires_at,
            emailed_at: self.emailed_at,
            accepted: self.accepted_by.map(UserId::from).zip(self.accepted_at),
            revoked_at: self.revoked_at,
            expired_at: self.expired_at,
        })
    }
}
