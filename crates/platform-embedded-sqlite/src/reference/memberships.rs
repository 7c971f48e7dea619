//! Memberships.

use aftercommit_domain::contract::OrganizationId;
use aftercommit_domain::reference::identity::{Membership, MembershipRepository};
use aftercommit_domain::reference::{UserId, Wrong};
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, bounded, corrupt, organization_id};
use crate::columns::{micros, timestamp};

#[async_trait]
impl MembershipRepository for Rows<'_> {
    async fn ensure(&mut self, membership: &Membership) -> Result<bool, StoreError> {
        let insert = sqlx::query(
            "INSERT INTO reference_memberships (organization_id, user_id, role, joined_at) VALUES (?, ?, ?, ?) \
             ON CONFLICT (organization_id, user_id) DO NOTHING",
        )
        .bind(membership.organization_id.as_str())
        .bind(membership.user_id.uuid())
        .bind(membership.role.as_str())
        .bind(micros(membership.joined_at));
        Ok(self.run("memberships.ensure", insert).await? == 1)
    }

    async fn list(&mut self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>, StoreError> {
        let select = sqlx::query_scalar::<_, Uuid>(
            "SELECT user_id FROM reference_memberships WHERE organization_id = ? AND user_id > ? \
             ORDER BY user_id LIMIT ?",
        )
        .bind(self.organization)
        .bind(after.map_or(Uuid::nil(), UserId::uuid))
        .bind(limit);
        let members = bounded("memberships.list", select.fetch_all(&mut *self.connection)).await?;
        Ok(members.into_iter().map(UserId::from).collect())
    }

    async fn find(&mut self, user_id: UserId) -> Result<Option<Membership>, StoreError> {
        const WHAT: &str = "membership";
        let select = sqlx::query_as::<_, (String, String, i64)>(
            "SELECT organization_id, role, joined_at FROM reference_memberships \
             WHERE organization_id = ? AND user_id = ?",
        )
        .bind(self.organization)
        .bind(user_id.uuid());
        let row = bounded("memberships.find", select.fetch_optional(&mut *self.connection)).await?;
        row.map(|(organization, role, joined_at)| {
            Ok(Membership {
                organization_id: organization_id(&organization, WHAT)?,
                user_id,
                role: role.parse().map_err(|error: Wrong| corrupt(WHAT, &error))?,
                joined_at: timestamp(joined_at),
            })
        })
        .transpose()
    }

    async fn of_user(
        &mut self,
        user_id: UserId,
        after: Option<OrganizationId>,
        limit: u32,
    ) -> Result<Vec<Membership>, StoreError> {
        const WHAT: &str = "membership";
        let select = sqlx::query_as::<_, (String, String, i64)>(
            "SELECT organization_id, role, joined_at FROM reference_memberships \
             WHERE user_id = ?1 AND (?2 = '' OR organization_id = ?2) AND organization_id > ?3 \
             ORDER BY organization_id LIMIT ?4",
        )
        .bind(user_id.uuid())
        .bind(self.organization)
        .bind(after.as_ref().map_or("", OrganizationId::as_str).to_owned())
        .bind(limit);
        let rows = bounded("memberships.of_user", select.fetch_all(&mut *self.connection)).await?;
        let membership = |(organization, role, joined_at): (String, String, i64)| {
            Ok(Membership {
                organization_id: organization_id(&organization, WHAT)?,
                user_id,
                role: role.parse().map_err(|error: Wrong| corrupt(WHAT, &error))?,
                joined_at: timestamp(joined_at),
            })
        };
        rows.into_iter().map(membership).collect()
    }

    async fn remove(&mut self, user_id: UserId) -> Result<bool, StoreError> {
        let delete = sqlx::query("DELETE FROM reference_memberships WHERE organization_id = ? AND user_id = ?")
            .bind(self.organization)
            .bind(user_id.uuid());
        Ok(self.run("memberships.remove", delete).await? == 1)
    }
}
