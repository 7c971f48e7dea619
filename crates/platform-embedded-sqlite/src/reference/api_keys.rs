//! API keys.

use aftercommit_domain::reference::ApiKeyId;
use aftercommit_domain::reference::identity::{ApiKey, ApiKeyRepository};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, bounded, digest, organization_id, project_id, time};
use crate::columns::{count, micros, timestamp};

#[derive(sqlx::FromRow)]
pub(super) struct ApiKeyRow {
    organization_id: String,
    id: Uuid,
    project_id: String,
    digest: Vec<u8>,
    created_at: i64,
    revoked_at: Option<i64>,
}

#[async_trait]
impl ApiKeyRepository for Rows<'_> {
    async fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        let insert = sqlx::query(
            "INSERT INTO reference_api_keys (organization_id, id, project_id, digest, created_at, revoked_at) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(key.organization_id.as_str())
        .bind(key.id.uuid())
        .bind(key.project_id.as_str())
        .bind(key.digest.as_bytes().to_vec())
        .bind(micros(key.created_at))
        .bind(key.revoked_at.map(micros));
        self.run("api_keys.insert", insert).await?;
        Ok(())
    }

    async fn find(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let select = sqlx::query_as::<_, ApiKeyRow>(
            "SELECT organization_id, id, project_id, digest, created_at, revoked_at FROM reference_api_keys \
             WHERE organization_id = ? AND id = ?",
        )
        .bind(self.organization)
        .bind(id.uuid());
        let row = bounded("api_keys.find", select.fetch_optional(&mut *self.connection)).await?;
        row.map(ApiKey::try_from).transpose()
    }

    async fn count_working(&mut self) -> Result<u64, StoreError> {
        let select = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM reference_api_keys WHERE organization_id = ? AND revoked_at IS NULL",
        )
        .bind(self.organization);
        let working = bounded("api_keys.count_working", select.fetch_one(&mut *self.connection)).await?;
        Ok(count(working))
    }

    async fn list_working(&mut self, limit: u32) -> Result<Vec<ApiKey>, StoreError> {
        let select = sqlx::query_as::<_, ApiKeyRow>(
            "SELECT organization_id, id, project_id, digest, created_at, revoked_at FROM reference_api_keys \
             WHERE organization_id = ? AND revoked_at IS NULL ORDER BY id LIMIT ?",
        )
        .bind(self.organization)
        .bind(limit);
        let rows = bounded("api_keys.list_working", select.fetch_all(&mut *self.connection)).await?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }

    async fn revoke(&mut self, id: ApiKeyId, at: Timestamp) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference_api_keys SET revoked_at = ? WHERE organization_id = ? AND id = ? AND revoked_at IS NULL",
        )
        .bind(micros(at))
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
            created_at: timestamp(row.created_at),
            revoked_at: time(row.revoked_at),
        })
    }
}
