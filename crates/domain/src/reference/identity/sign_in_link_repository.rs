//! Where sign-in links are kept.

use async_trait::async_trait;

use crate::reference::SignInLinkId;
use crate::reference::identity::SignInLink;
use crate::time::Timestamp;
use crate::unit_of_work::StoreError;

/// Keeps sign-in links. Addresses are never stored in clear, tokens as digests only.
#[async_trait]
pub trait SignInLinkRepository: Send {
    /// Adds a link.
    async fn insert(&mut self, link: &SignInLink) -> Result<(), StoreError>;

    /// A link, used up or not. `Ok(None)` when there is none.
    async fn find(&mut self, id: SignInLinkId) -> Result<Option<SignInLink>, StoreError>;

    /// Uses it up. `Ok(false)` when it was used before or there is none.
    async fn use_up(&mut self, id: SignInLinkId, at: Timestamp) -> Result<bool, StoreError>;

    /// Forgets up to `limit` links that expired before `before`. Answers how many.
    async fn forget(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
