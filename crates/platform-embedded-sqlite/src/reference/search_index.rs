//! The search index.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::RecordId;
use aftercommit_domain::reference::search::{SearchIndexRepository, SearchText};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, bounded};
use crate::columns::micros;

#[async_trait]
impl SearchIndexRepository for Rows<'_> {
    async fn put(
        &mut self,
        project: &ProjectId,
        record: RecordId,
        text: &SearchText,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let put = sqlx::query(
            "INSERT INTO reference_search_index (organization_id, project_id, record_id, text, indexed_at) \
             SELECT organization_id, project_id, id, ?, ? FROM reference_records \
             WHERE organization_id = ? AND project_id = ? AND id = ? \
             ON CONFLICT (organization_id, project_id, record_id) DO UPDATE \
             SET text = excluded.text, indexed_at = excluded.indexed_at",
        )
        .bind(text.as_str())
        .bind(micros(at))
        .bind(self.organization)
        .bind(project.as_str())
        .bind(record.uuid());
        Ok(self.run("search_index.put", put).await? == 1)
    }

    async fn search(
        &mut self,
        project: &ProjectId,
        text: &SearchText,
        limit: u32,
    ) -> Result<Vec<RecordId>, StoreError> {
        let select = sqlx::query_scalar::<_, Uuid>(
            "SELECT record_id FROM reference_search_index \
             WHERE organization_id = ? AND project_id = ? AND instr(text, ?) > 0 \
             ORDER BY indexed_at DESC, record_id LIMIT ?",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(text.as_str())
        .bind(limit);
        let found = bounded("search_index.search", select.fetch_all(&mut *self.connection)).await?;
        Ok(found.into_iter().map(RecordId::from).collect())
    }

    async fn purge(&mut self, project: &ProjectId, limit: u32) -> Result<u64, StoreError> {
        let delete = sqlx::query(
            "DELETE FROM reference_search_index WHERE organization_id = ?1 AND project_id = ?2 AND record_id IN \
             (SELECT record_id FROM reference_search_index WHERE organization_id = ?1 AND project_id = ?2 LIMIT ?3)",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(limit);
        self.run("search_index.purge", delete).await
    }
}
