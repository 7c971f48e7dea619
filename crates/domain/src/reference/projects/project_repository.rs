//! Where projects are kept.

use async_trait::async_trait;

use crate::contract::{OrganizationId, ProjectId};
use crate::reference::projects::Project;
use crate::time::Timestamp;
use crate::unit_of_work::StoreError;

/// Keeps the projects of the unit of work's organization. Each `mark_…` changes the row once: `Ok(true)` when this call
/// did, `Ok(false)` when it was done before, the project is deleted, or there is none.
#[async_trait]
pub trait ProjectRepository: Send {
    /// Adds a project.
    async fn insert(&mut self, project: &Project) -> Result<(), StoreError>;

    /// A project, deleted or not. `Ok(None)` when there is none.
    async fn find(&mut self, id: &ProjectId) -> Result<Option<Project>, StoreError>;

    /// The projects that are not deleted and come after this one in an order that is the store's own and does not change,
    /// `limit` at most. The system's unit of work lists those of all organizations.
    async fn list_live(
        &mut self,
        after: Option<(OrganizationId, ProjectId)>,
        limit: u32,
    ) -> Result<Vec<(OrganizationId, ProjectId)>, StoreError>;

    /// Marks it deleted.
    async fn mark_deleted(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError>;

    /// Marks it provisioned.
    async fn mark_provisioned(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError>;

    /// Marks that its first record came.
    async fn mark_first_record(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError>;
}
