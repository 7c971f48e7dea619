//! Where exports are kept.

use async_trait::async_trait;

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

    /// Records how far it is. `Ok(false)` when it was over already, or there is none; whoever repeats a step looks with
    /// [`find`](Self::find) which.
    async fn advance(&mut self, id: ExportId, state: &ExportState) -> Result<bool, StoreError>;
}
