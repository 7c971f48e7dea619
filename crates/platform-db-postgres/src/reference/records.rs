//! Records.

use aftercommit_domain::contract::{ProjectId, StorageKey};
use aftercommit_domain::reference::records::{NewRecord, Record, RecordBody, RecordKey, RecordRepository};
use aftercommit_domain::reference::{RecordId, Wrong};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, corrupt};
use crate::columns::count;

/// The whole batch in one statement. A key that comes twice in it is one record, with the first of its ids and the last
/// of its bodies. Sorted, so that two batches with the same keys take turns instead of waiting for each other.
const UPSERT: &str = "\
    WITH line AS ( \
        SELECT * FROM unnest($3::text[], $4::uuid[], $5::text[]) WITH ORDINALITY AS line (key, new_id, body, place) \
    ), stored AS ( \
        INSERT INTO reference.records (organization_id, project_id, key, id, body, batch, received_at) \
        SELECT $1, $2, key, (array_agg(new_id ORDER BY place))[1], (array_agg(body ORDER BY place DESC))[1], $6, $7 \
        FROM line GROUP BY key ORDER BY key \
        ON CONFLICT (organization_id, project_id, key) DO UPDATE \
        SET body = excluded.body, batch = excluded.batch, received_at = excluded.received_at \
        RETURNING key, id \
    ) \
    SELECT stored.id FROM line JOIN stored USING (key) ORDER BY line.place";

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
        let keys: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
        let bodies: Vec<&str> = records.iter().map(|record| record.body.as_str()).collect();
        let new_ids: Vec<Uuid> = new_ids.iter().map(|id| id.uuid()).collect();
        let upsert = sqlx::query_as::<_, (Uuid,)>(UPSERT)
            .bind(self.organization)
            .bind(project.as_str())
            .bind(keys)
            .bind(new_ids)
            .bind(bodies)
            .bind(batch.as_str())
            .bind(at);
        let ids = self.all("records.upsert", upsert).await?;
        Ok(ids.into_iter().map(|(id,)| RecordId::from(id)).collect())
    }

    async fn find(&mut self, project: &ProjectId, id: RecordId) -> Result<Option<Record>, StoreError> {
        let select = sqlx::query_as::<_, (String, String, Timestamp)>(
            "SELECT key, body, received_at FROM reference.records \
             WHERE organization_id = $1 AND project_id = $2 AND id = $3",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(id.uuid());
        let row = self.optional("records.find", select).await?;
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
        let select = sqlx::query_as::<_, (Uuid,)>(
            "SELECT id FROM reference.records WHERE organization_id = $1 AND project_id = $2 AND batch = $3 AND id > $4 \
             ORDER BY id LIMIT $5",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(batch.as_str())
        .bind(after.map_or(Uuid::nil(), RecordId::uuid))
        .bind(i64::from(limit));
        let ids = self.all("records.of_batch", select).await?;
        Ok(ids.into_iter().map(|(id,)| RecordId::from(id)).collect())
    }

    async fn page(
        &mut self,
        project: &ProjectId,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        let select = sqlx::query_as::<_, (Uuid, String, String, Timestamp)>(
            "SELECT id, key, body, received_at FROM reference.records \
             WHERE organization_id = $1 AND project_id = $2 AND id > $3 ORDER BY id LIMIT $4",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(after.map_or(Uuid::nil(), RecordId::uuid))
        .bind(i64::from(limit));
        let rows = self.all("records.page", select).await?;
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
        let select = sqlx::query_as::<_, (i64,)>(
            "SELECT count(*) FROM reference.records \
             WHERE organization_id = $1 AND project_id = $2 AND received_at >= $3 AND received_at < $4",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(from)
        .bind(until);
        let (received,) = self.one("records.count_received", select).await?;
        Ok(count(received))
    }

    async fn any(&mut self, project: &ProjectId) -> Result<bool, StoreError> {
        let select = sqlx::query_as::<_, (bool,)>(
            "SELECT EXISTS (SELECT FROM reference.records WHERE organization_id = $1 AND project_id = $2)",
        )
        .bind(self.organization)
        .bind(project.as_str());
        let (any,) = self.one("records.any", select).await?;
        Ok(any)
    }

    async fn purge(&mut self, project: &ProjectId, limit: u32) -> Result<u64, StoreError> {
        // Locked first: one that another purge takes does not count against the limit. An array, because a subselect
        // with a limit may be run again for each row.
        let delete = sqlx::query(
            "DELETE FROM reference.records WHERE organization_id = $1 AND project_id = $2 AND key = ANY (ARRAY( \
                SELECT key FROM reference.records WHERE organization_id = $1 AND project_id = $2 \
                ORDER BY key LIMIT $3 FOR UPDATE \
             ))",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(i64::from(limit));
        self.run("records.purge", delete).await
    }
}

fn record(
    project: &ProjectId,
    id: RecordId,
    key: String,
    body: String,
    received_at: Timestamp,
) -> Result<Record, StoreError> {
    let corrupt = |wrong: Wrong| corrupt("record", &wrong);
    Ok(Record {
        id,
        project_id: project.clone(),
        key: RecordKey::new(key).map_err(corrupt)?,
        body: RecordBody::new(body).map_err(corrupt)?,
        received_at,
    })
}
