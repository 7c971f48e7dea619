//! Where API keys are kept.

use async_trait::async_trait;

use crate::reference::ApiKeyId;
use crate::reference::identity::ApiKey;
use crate::time::Timestamp;
use crate::unit_of_work::StoreError;

/// Keeps the API keys of the unit of work's organization.
#[async_trait]
pub trait ApiKeyRepository: Send {
    /// Adds a key.
    async fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError>;

    /// A key, revoked or not. `Ok(None)` when there is none.
    async fn find(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;

    /// How many keys work.
    async fn count_working(&mut self) -> Result<u64, StoreError>;

    /// Keys that work, `limit` at most.
    async fn list_working(&mut self, limit: u32) -> Result<Vec<ApiKey>, StoreError>;

    /// Revokes a key. `Ok(false)` when it was revoked before or there is none.
    async fn revoke(&mut self, id: ApiKeyId, at: Timestamp) -> Result<bool, StoreError>;
}
