//! API keys.

use aftercommit_domain::reference::ApiKeyId;
use aftercommit_domain::reference::identity::{ApiKey, ApiKeyRepository};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, digest, organization_id, project_id};
use crate::columns::count;

#[derive(sqlx::FromRow)]
pub(super) struct ApiKeyRow {
    organization_id: String,
    id: Uuid,
    project_id: String,
    digest: Vec<u8>,
    created_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

#[async_trait]
impl ApiKeyRepository for Rows<'_> {
    async fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        let insert = sqlx::query(
            "INSERT INTO reference.api_keys (organization_id, id, project_id, digest, created_at, revoked_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(key.organization_id.as_str())
        .bind(key.id.uuid())
        .bind(key.project_id.as_str())
        .bind(key.digest.as_bytes().to_vec())
        .bind(key.created_at)
        .bind(key.revoked_at);
        self.run("api_keys.insert", insert).await?;
        Ok(())
    }

    async fn find(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let select = sqlx::query_as::<_, ApiKeyRow>(
            "SELECT organization_id, id, project_id, digest, created_at, revoked_at FROM reference.api_keys \
             WHERE organization_id = $1 AND id = $2",
        )
        .bind(self.organization)
        .bind(id.uuid());
        let row = self.optional("api_keys.find", select).await?;
        row.map(ApiKey::try_from).transpose()
    }

    async fn count_working(&mut self) -> Result<u64, StoreError> {
        let select = sqlx::query_as::<_, (i64,)>(
            "SELECT count(*) FROM reference.api_keys WHERE organization_id = $1 AND revoked_at IS NULL",
        )
        .bind(self.organization);
        let (working,) = self.one("api_keys.count_working", select).await?;
        Ok(count(working))
    }

    async fn list_working(&mut self, limit: u32) -> Result<Vec<ApiKey>, StoreError> {
        let select = sqlx::query_as::<_, ApiKeyRow>(
            "SELECT organization_id, id, project_id, digest, created_at, revoked_at FROM reference.api_keys \
             WHERE organization_id = $1 AND revoked_at IS NULL ORDER BY id LIMIT $2",
        )
        .bind(self.organization)
        .bind(i64::from(limit));
        let rows = self.all("api_keys.list_working", select).await?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }

    async fn revoke(&mut self, id: ApiKeyId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference.api_keys SET revoked_at = $1 \
             WHERE organization_id = $2 AND id = $3 AND revoked_at IS NULL",
        )
        .bind(at)
        .bind(self.organization)
        .bind(id.uuid());
        Ok(self.run("api_keys.revoke", update).await? == 1)
    }
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: ApiKeyRow) -> Result<Self, StoreError> {
        const WHAT: &str = "API key";
        Ok(Self {
            id: ApiKeyId::from(row.id),
            organization_id: organization_id(&row.organization_id, WHAT)?,
            project_id: project_id(&row.project_id, WHAT)?,
            digest: digest(&row.digest, WHAT)?,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
        })
    }
}
