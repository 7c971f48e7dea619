//! People.

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::effects::EmailAddress;
use aftercommit_domain::reference::UserId;
use aftercommit_domain::reference::identity::{User, UserRepository};
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, bounded, corrupt};
use super::sealed_email::Place;
use crate::columns::{micros, timestamp};

const fn email_of(id: Uuid) -> Place<'static> {
    Place {
        tenant: Tenant::System,
        column: "reference_users.email",
        row: id,
    }
}

#[async_trait]
impl UserRepository for Rows<'_> {
    async fn ensure(&mut self, user: &User) -> Result<(UserId, bool), StoreError> {
        let sealed = email_of(user.id.uuid()).seal(self.sealer, &user.email)?;
        let insert = sqlx::query(
            "INSERT INTO reference_users (id, email_digest, email_key, email, created_at) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (email_digest) DO NOTHING",
        )
        .bind(user.id.uuid())
        .bind(User::email_digest(&user.email).as_bytes().to_vec())
        .bind(sealed.key_id)
        .bind(sealed.bytes)
        .bind(micros(user.created_at));
        if self.run("users.ensure", insert).await? == 1 {
            return Ok((user.id, true));
        }
        let known = self.find_by_email(&user.email).await?;
        known
            .map(|id| (id, false))
            .ok_or_else(|| corrupt("user", "an address is taken and nobody has it"))
    }

    async fn find_by_email(&mut self, email: &EmailAddress) -> Result<Option<UserId>, StoreError> {
        let select = sqlx::query_scalar::<_, Uuid>("SELECT id FROM reference_users WHERE email_digest = ?")
            .bind(User::email_digest(email).as_bytes().to_vec());
        let id = bounded("users.find_by_email", select.fetch_optional(&mut *self.connection)).await?;
        Ok(id.map(UserId::from))
    }

    async fn find(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        let select = sqlx::query_as::<_, (String, Vec<u8>, i64)>(
            "SELECT email_key, email, created_at FROM reference_users WHERE id = ?",
        )
        .bind(id.uuid());
        let row = bounded("users.find", select.fetch_optional(&mut *self.connection)).await?;
        row.map(|(key, email, created_at)| {
            Ok(User {
                id,
                email: email_of(id.uuid()).open(self.sealer, key, email)?,
                created_at: timestamp(created_at),
            })
        })
        .transpose()
    }

    async fn replace_email(&mut self, id: UserId, email: &EmailAddress) -> Result<bool, StoreError> {
        let sealed = email_of(id.uuid()).seal(self.sealer, email)?;
        let update = sqlx::query("UPDATE reference_users SET email_digest = ?, email_key = ?, email = ? WHERE id = ?")
            .bind(User::email_digest(email).as_bytes().to_vec())
            .bind(sealed.key_id)
            .bind(sealed.bytes)
            .bind(id.uuid());
        Ok(self.run("users.replace_email", update).await? == 1)
    }
}
