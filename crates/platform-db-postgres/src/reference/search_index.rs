//! The search index.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::RecordId;
use aftercommit_domain::reference::search::{SearchIndexRepository, SearchText};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::Rows;

#[async_trait]
impl SearchIndexRepository for Rows<'_> {
    async fn put(
        &mut self,
        project: &ProjectId,
        record: RecordId,
        text: &SearchText,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        // Locked, so that a purge at the same moment either takes both or comes first.
        let put = sqlx::query(
            "INSERT INTO reference.search_index AS mine (organization_id, project_id, record_id, text, indexed_at) \
             SELECT organization_id, project_id, id, $4, $5 FROM reference.records \
             WHERE organization_id = $1 AND project_id = $2 AND id = $3 FOR KEY SHARE \
             ON CONFLICT (organization_id, project_id, record_id) DO UPDATE \
             SET text = excluded.text, indexed_at = excluded.indexed_at",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(record.uuid())
        .bind(text.as_str())
        .bind(at);
        Ok(self.run("search_index.put", put).await? == 1)
    }

    async fn search(
        &mut self,
        project: &ProjectId,
        text: &SearchText,
        limit: u32,
    ) -> Result<Vec<RecordId>, StoreError> {
        let select = sqlx::query_as::<_, (Uuid,)>(
            "SELECT record_id FROM reference.search_index \
             WHERE organization_id = $1 AND project_id = $2 AND position($3 IN text) > 0 \
             ORDER BY indexed_at DESC, record_id LIMIT $4",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(text.as_str())
        .bind(i64::from(limit));
        let found = self.all("search_index.search", select).await?;
        Ok(found.into_iter().map(|(id,)| RecordId::from(id)).collect())
    }

    async fn purge(&mut self, project: &ProjectId, limit: u32) -> Result<u64, StoreError> {
        let delete = sqlx::query(
            "DELETE FROM reference.search_index WHERE organization_id = $1 AND project_id = $2 AND record_id = ANY (ARRAY( \
                SELECT record_id FROM reference.search_index WHERE organization_id = $1 AND project_id = $2 \
                ORDER BY record_id LIMIT $3 FOR UPDATE \
             ))",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(i64::from(limit));
        self.run("search_index.purge", delete).await
    }
}
