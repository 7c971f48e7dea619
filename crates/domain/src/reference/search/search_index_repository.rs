//! Where the search index is kept.

use async_trait::async_trait;

use crate::contract::ProjectId;
use crate::reference::RecordId;
use crate::reference::search::SearchText;
use crate::time::Timestamp;
use crate::unit_of_work::StoreError;

/// Keeps the search index of the unit of work's organization. It holds nothing of a record that is gone, however late that was
/// put.
#[async_trait]
pub trait SearchIndexRepository: Send {
    /// Puts what a record says, or replaces what it said. `Ok(false)` when there is no such record any more.
    async fn put(
        &mut self,
        project: &ProjectId,
        record: RecordId,
        text: &SearchText,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// The project's records that say `text`, the latest put first, `limit` at most.
    async fn search(&mut self, project: &ProjectId, text: &SearchText, limit: u32)
    -> Result<Vec<RecordId>, StoreError>;

    /// Removes what up to `limit` of the project's records say. Answers of how many.
    async fn purge(&mut self, project: &ProjectId, limit: u32) -> Result<u64, StoreError>;
}
