//! Digests in memory.

use aftercommit_domain::reference::WeeklyDigestId;
use aftercommit_domain::reference::digests::{WeeklyDigest, WeeklyDigestRepository};
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::tables::Rows;

#[async_trait]
impl WeeklyDigestRepository for Rows<'_> {
    async fn insert_if_absent(&mut self, digest: &WeeklyDigest) -> Result<bool, StoreError> {
        let is_same = |known: &WeeklyDigest| {
            known.organization_id == digest.organization_id
                && known.project_id == digest.project_id
                && known.until == digest.until
        };
        if self.tables.digests.values().any(is_same) {
            return Ok(false);
        }
        let key = (digest.organization_id.clone(), digest.id);
        self.tables.digests.insert(key, digest.clone());
        Ok(true)
    }

    async fn find(&mut self, id: WeeklyDigestId) -> Result<Option<WeeklyDigest>, StoreError> {
        let key = self.key(id);
        Ok(key.and_then(|key| self.tables.digests.get(&key)).cloned())
    }
}
