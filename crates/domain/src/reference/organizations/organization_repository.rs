//! Where organizations are kept.

use async_trait::async_trait;

use crate::reference::organizations::Organization;
use crate::unit_of_work::StoreError;

/// Keeps organizations.
#[async_trait]
pub trait OrganizationRepository: Send {
    /// Adds the organization the unit of work was begun for.
    async fn insert(&mut self, organization: &Organization) -> Result<(), StoreError>;

    /// The organization the unit of work was begun for. `Ok(None)` when it is gone.
    async fn find(&mut self) -> Result<Option<Organization>, StoreError>;
}
