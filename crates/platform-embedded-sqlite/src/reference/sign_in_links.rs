//! Sign-in links.

use aftercommit_domain::contract::{Sealer, Tenant};
use aftercommit_domain::reference::identity::{SignInLink, SignInLinkRepository};
use aftercommit_domain::reference::{SignInLinkId, UserId};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, bounded, digest, time};
use super::sealed_email::Place;
use crate::columns::{micros, timestamp};

#[derive(sqlx::FromRow)]
pub(super) struct SignInLinkRow {
    id: Uuid,
    email_key: String,
    email: Vec<u8>,
    user_id: Option<Uuid>,
    token: Vec<u8>,
    created_at: i64,
    expires_at: i64,
    used_at: Option<i64>,
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
            "INSERT INTO reference_sign_in_links (id, email_key, email, user_id, token, created_at, expires_at, \
             used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(link.id.uuid())
        .bind(sealed.key_id)
        .bind(sealed.bytes)
        .bind(link.user_id.map(UserId::uuid))
        .bind(link.token.as_bytes().to_vec())
        .bind(micros(link.created_at))
        .bind(micros(link.expires_at))
        .bind(link.used_at.map(micros));
        self.run("sign_in_links.insert", insert).await?;
        Ok(())
    }

    async fn find(&mut self, id: SignInLinkId) -> Result<Option<SignInLink>, StoreError> {
        let select = sqlx::query_as::<_, SignInLinkRow>(
            "SELECT id, email_key, email, user_id, token, created_at, expires_at, used_at \
             FROM reference_sign_in_links WHERE id = ?",
        )
        .bind(id.uuid());
        let row = bounded("sign_in_links.find", select.fetch_optional(&mut *self.connection)).await?;
        row.map(|row| row.open(self.sealer)).transpose()
    }

    async fn use_up(&mut self, id: SignInLinkId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query("UPDATE reference_sign_in_links SET used_at = ? WHERE id = ? AND used_at IS NULL")
            .bind(micros(at))
            .bind(id.uuid());
        Ok(self.run("sign_in_links.use_up", update).await? == 1)
    }

    async fn forget(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let delete = sqlx::query(
            "DELETE FROM reference_sign_in_links WHERE id IN \
             (SELECT id FROM reference_sign_in_links WHERE expires_at < ? ORDER BY expires_at LIMIT ?)",
        )
        .bind(micros(before))
        .bind(limit);
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
            created_at: timestamp(self.created_at),
            expires_at: timestamp(self.expires_at),
            used_at: time(self.used_at),
        })
    }
}
