//! Where projects are kept.

use async_trait::async_trait;

use crate::contract::ProjectId;
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

    /// Marks it deleted.
    async fn mark_deleted(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError>;

    /// Marks it provisioned.
    async fn mark_provisioned(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError>;

    /// Marks that its first record came.
    async fn mark_first_record(&mut self, id: &ProjectId, at: Timestamp) -> Result<bool, StoreError>;
}
