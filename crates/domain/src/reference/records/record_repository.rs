//! Where records are kept.

use async_trait::async_trait;

use crate::contract::{ProjectId, StorageKey};
use crate::reference::RecordId;
use crate::reference::records::{NewRecord, Record};
use crate::time::Timestamp;
use crate::unit_of_work::StoreError;

/// Keeps the records of the unit of work's organization.
#[async_trait]
pub trait RecordRepository: Send {
    /// Adds records, or replaces those whose keys the project has. Answers the id of each in input order; `new_ids` has
    /// one id for each, used when its key is new.
    async fn upsert(
        &mut self,
        project: &ProjectId,
        batch: &StorageKey,
        records: &[NewRecord],
        new_ids: &[RecordId],
        at: Timestamp,
    ) -> Result<Vec<RecordId>, StoreError>;

    /// A record as it is now. `Ok(None)` when there is none.
    async fn find(&mut self, project: &ProjectId, id: RecordId) -> Result<Option<Record>, StoreError>;

    /// The records that came last with this batch and whose ids are greater than `after`, in the order of their ids, `limit` at
    /// most. One that came again since is another batch's.
    async fn of_batch(
        &mut self,
        project: &ProjectId,
        batch: &StorageKey,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<RecordId>, StoreError>;

    /// The project's records whose ids are greater than `after`, in the order of their ids, `limit` at most. An id stays
    /// with its key, so that whoever goes on after the last one misses none that was there when they began.
    async fn page(
        &mut self,
        project: &ProjectId,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError>;

    /// How many of the project's records came last from `from` on and before `until`.
    async fn count_received(
        &mut self,
        project: &ProjectId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Whether the project has any.
    async fn any(&mut self, project: &ProjectId) -> Result<bool, StoreError>;

    /// Removes up to `limit` of the project's records, and what the search index has of them. Answers how many records.
    async fn purge(&mut self, project: &ProjectId, limit: u32) -> Result<u64, StoreError>;
}
