//! Where digests are kept.

use async_trait::async_trait;

use crate::reference::WeeklyDigestId;
use crate::reference::digests::WeeklyDigest;
use crate::unit_of_work::StoreError;

/// Keeps the digests of the unit of work's organization. A project has one for each end of a week.
#[async_trait]
pub trait WeeklyDigestRepository: Send {
    /// Adds a digest. `Ok(false)` when its project has one of its week already.
    async fn insert_if_absent(&mut self, digest: &WeeklyDigest) -> Result<bool, StoreError>;

    /// A digest. `Ok(None)` when there is none.
    async fn find(&mut self, id: WeeklyDigestId) -> Result<Option<WeeklyDigest>, StoreError>;
}
