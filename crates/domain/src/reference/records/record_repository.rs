//! Where records are kept.

use async_trait::async_trait;

use crate::contract::{ProjectId, StorageKey};
use crate::reference::RecordId;
use crate::reference::records::NewRecord;
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

    /// Whether the project has any.
    async fn any(&mut self, project: &ProjectId) -> Result<bool, StoreError>;

    /// Removes up to `limit` of the project's records. Answers how many.
    async fn purge(&mut self, project: &ProjectId, limit: u32) -> Result<u64, StoreError>;
}
