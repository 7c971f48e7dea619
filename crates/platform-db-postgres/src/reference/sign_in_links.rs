//! Sign-in links.

use aftercommit_domain::contract::{Sealer, Tenant};
use aftercommit_domain::reference::identity::{SignInLink, SignInLinkRepository};
use aftercommit_domain::reference::{SignInLinkId, UserId};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, digest};
use super::sealed_email::Place;

#[derive(sqlx::FromRow)]
pub(super) struct SignInLinkRow {
    id: Uuid,
    email_key: String,
    email: Vec<u8>,
    user_id: Option<Uuid>,
    token: Vec<u8>,
    created_at: Timestamp,
    expires_at: Timestamp,
    used_at: Option<Timestamp>,
}

const fn email_of(id: Uuid) -> Place<'static> {
    Place {
        tenant: Tenant::System,
        column: "reference_sign_in_links.email",
        row: id,
    }
}

#[async_trait]
impl SignInLinkRepository for Rows<'_> {
    async fn insert(&mut self, link: &SignInLink) -> Result<(), StoreError> {
        let sealed = email_of(link.id.uuid()).seal(self.sealer, &link.email)?;
        let insert = sqlx::query(
            "INSERT INTO reference.sign_in_links (id, email_key, email, user_id, token, created_at, expires_at, \
             used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(link.id.uuid())
        .bind(sealed.key_id)
        .bind(sealed.bytes)
        .bind(link.user_id.map(UserId::uuid))
        .bind(link.token.as_bytes().to_vec())
        .bind(link.created_at)
        .bind(link.expires_at)
        .bind(link.used_at);
        self.run("sign_in_links.insert", insert).await?;
        Ok(())
    }

    async fn find(&mut self, id: SignInLinkId) -> Result<Option<SignInLink>, StoreError> {
        let select = sqlx::query_as::<_, SignInLinkRow>(
            "SELECT id, email_key, email, user_id, token, created_at, expires_at, used_at \
             FROM reference.sign_in_links WHERE id = $1",
        )
        .bind(id.uuid());
        let row = self.optional("sign_in_links.find", select).await?;
        row.map(|row| row.open(self.sealer)).transpose()
    }

    async fn use_up(&mut self, id: SignInLinkId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query("UPDATE reference.sign_in_links SET used_at = $1 WHERE id = $2 AND used_at IS NULL")
            .bind(at)
            .bind(id.uuid());
        Ok(self.run("sign_in_links.use_up", update).await? == 1)
    }

    async fn forget(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        // Whoever forgets at the same moment takes others.
        let delete = sqlx::query(
            "DELETE FROM reference.sign_in_links WHERE id = ANY (ARRAY( \
                SELECT id FROM reference.sign_in_links WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 \
                FOR UPDATE SKIP LOCKED \
             ))",
        )
        .bind(before)
        .bind(i64::from(limit));
        self.run("sign_in_links.forget", delete).await
    }
}

impl SignInLinkRow {
    pub(super) fn open(self, sealer: &dyn Sealer) -> Result<SignInLink, StoreError> {
        Ok(SignInLink {
            id: SignInLinkId::from(self.id),
            email: email_of(self.id).open(sealer, self.email_key, self.email)?,
            user_id: self.user_id.map(UserId::from),
            token: digest(&self.token, "sign-in link")?,
            created_at: self.created_at,
            expires_at: self.expires_at,
            used_at: self.used_at,
        })
    }
}
