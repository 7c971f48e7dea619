//! Records.

use aftercommit_domain::contract::{ProjectId, StorageKey};
use aftercommit_domain::reference::records::{NewRecord, Record, RecordBody, RecordKey, RecordRepository};
use aftercommit_domain::reference::{RecordId, Wrong};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, bounded, corrupt};
use crate::columns::{micros, timestamp};

#[async_trait]
impl RecordRepository for Rows<'_> {
    async fn upsert(
        &mut self,
        project: &ProjectId,
        batch: &StorageKey,
        records: &[NewRecord],
        new_ids: &[RecordId],
        at: Timestamp,
    ) -> Result<Vec<RecordId>, StoreError> {
        let mut ids = Vec::with_capacity(records.len());
        for (record, new_id) in records.iter().zip(new_ids) {
            let upsert = sqlx::query_scalar::<_, Uuid>(
                "INSERT INTO reference_records (organization_id, project_id, key, id, body, batch, received_at) \
                 VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (organization_id, project_id, key) DO UPDATE \
                 SET body = excluded.body, batch = excluded.batch, received_at = excluded.received_at RETURNING id",
            )
            .bind(self.organization)
            .bind(project.as_str())
            .bind(record.key.as_str())
            .bind(new_id.uuid())
            .bind(record.body.as_str())
            .bind(batch.as_str())
            .bind(micros(at));
            let id = bounded("records.upsert", upsert.fetch_one(&mut *self.connection)).await?;
            ids.push(RecordId::from(id));
        }
        Ok(ids)
    }

    async fn find(&mut self, project: &ProjectId, id: RecordId) -> Result<Option<Record>, StoreError> {
        let select = sqlx::query_as::<_, (String, String, i64)>(
            "SELECT key, body, received_at FROM reference_records \
             WHERE organization_id = ? AND project_id = ? AND id = ?",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(id.uuid());
        let row = bounded("records.find", select.fetch_optional(&mut *self.connection)).await?;
        row.map(|(key, body, received_at)| record(project, id, key, body, received_at))
            .transpose()
    }

    async fn of_batch(
        &mut self,
        project: &ProjectId,
        batch: &StorageKey,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<RecordId>, StoreError> {
        let select = sqlx::query_scalar::<_, Uuid>(
            "SELECT id FROM reference_records WHERE organization_id = ? AND project_id = ? AND batch = ? AND id > ? \
             ORDER BY id LIMIT ?",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(batch.as_str())
        .bind(after.map_or(Uuid::nil(), RecordId::uuid))
        .bind(limit);
        let ids = bounded("records.of_batch", select.fetch_all(&mut *self.connection)).await?;
        Ok(ids.into_iter().map(RecordId::from).collect())
    }

    async fn page(
        &mut self,
        project: &ProjectId,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        let select = sqlx::query_as::<_, (Uuid, String, String, i64)>(
            "SELECT id, key, body, received_at FROM reference_records \
             WHERE organization_id = ? AND project_id = ? AND id > ? ORDER BY id LIMIT ?",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(after.map_or(Uuid::nil(), RecordId::uuid))
        .bind(limit);
        let rows = bounded("records.page", select.fetch_all(&mut *self.connection)).await?;
        let rows = rows.into_iter();
        rows.map(|(id, key, body, received_at)| record(project, id.into(), key, body, received_at))
            .collect()
    }

    async fn count_received(
        &mut self,
        project: &ProjectId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<u64, StoreError> {
        let select = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM reference_records \
             WHERE organization_id = ? AND project_id = ? AND received_at >= ? AND received_at < ?",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(micros(from))
        .bind(micros(until));
        let received = bounded("records.count_received", select.fetch_one(&mut *self.connection)).await?;
        Ok(u64::try_from(received).unwrap_or_default())
    }

    async fn any(&mut self, project: &ProjectId) -> Result<bool, StoreError> {
        let select = sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT 1 FROM reference_records WHERE organization_id = ? AND project_id = ?)",
        )
        .bind(self.organization)
        .bind(project.as_str());
        bounded("records.any", select.fetch_one(&mut *self.connection)).await
    }

    async fn purge(&mut self, project: &ProjectId, limit: u32) -> Result<u64, StoreError> {
        let delete = sqlx::query(
            "DELETE FROM reference_records WHERE rowid IN \
             (SELECT rowid FROM reference_records WHERE organization_id = ? AND project_id = ? LIMIT ?)",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(limit);
        self.run("records.purge", delete).await
    }
}

fn record(
    project: &ProjectId,
    id: RecordId,
    key: String,
    body: String,
    received_at: i64,
) -> Result<Record, StoreError> {
    let corrupt = |wrong: Wrong| corrupt("record", &wrong);
    Ok(Record {
        id,
        project_id: project.clone(),
        key: RecordKey::new(key).map_err(corrupt)?,
        body: RecordBody::new(body).map_err(corrupt)?,
        received_at: timestamp(received_at),
    })
}
