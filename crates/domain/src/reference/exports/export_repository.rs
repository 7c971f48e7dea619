//! Where exports are kept.

use async_trait::async_trait;

use crate::contract::ProjectId;
use crate::reference::ExportId;
use crate::reference::exports::{Export, ExportState};
use crate::unit_of_work::StoreError;

/// Keeps the exports of the unit of work's organization.
#[async_trait]
pub trait ExportRepository: Send {
    /// Adds an export.
    async fn insert(&mut self, export: &Export) -> Result<(), StoreError>;

    /// An export. `Ok(None)` when there is none.
    async fn find(&mut self, id: ExportId) -> Result<Option<Export>, StoreError>;

    /// Up to `limit` exports of a project, in the order of their ids, after that one.
    async fn of_project(
        &mut self,
        project: &ProjectId,
        after: Option<ExportId>,
        limit: u32,
    ) -> Result<Vec<Export>, StoreError>;

    /// Forgets an export. `Ok(false)` when there is none.
    async fn remove(&mut self, id: ExportId) -> Result<bool, StoreError>;

    /// Records how far it is. `Ok(false)` when it was over already, or there is none; whoever repeats a step looks with
    /// [`find`](Self::find) which.
    async fn advance(&mut self, id: ExportId, state: &ExportState) -> Result<bool, StoreError>;
}
