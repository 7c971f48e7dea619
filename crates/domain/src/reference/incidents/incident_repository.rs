//! Where incidents are kept.

use async_trait::async_trait;

use crate::contract::ProjectId;
use crate::reference::IncidentId;
use crate::reference::incidents::{Incident, IncidentSource};
use crate::time::Timestamp;
use crate::unit_of_work::StoreError;

/// Keeps the incidents of the unit of work's organization. Of a source of a project at most one is open.
#[async_trait]
pub trait IncidentRepository: Send {
    /// Adds an open incident. `Ok(false)` when one of its source is open.
    async fn open(&mut self, incident: &Incident) -> Result<bool, StoreError>;

    /// Closes it because of a record that came at `told_at`. `Ok(false)` when it is closed already, or there is none.
    async fn close(&mut self, id: IncidentId, at: Timestamp, told_at: Timestamp) -> Result<bool, StoreError>;

    /// An incident, open or closed. `Ok(None)` when there is none.
    async fn find(&mut self, id: IncidentId) -> Result<Option<Incident>, StoreError>;

    /// The newest incident of a source, open or closed. `Ok(None)` when it never had one.
    async fn latest(&mut self, project: &ProjectId, source: &IncidentSource) -> Result<Option<Incident>, StoreError>;

    /// The open ones whose ids are greater than `after`, in the order of their ids, `limit` at most. The system's unit of work
    /// lists those of all organizations.
    async fn list_open(&mut self, after: Option<IncidentId>, limit: u32) -> Result<Vec<Incident>, StoreError>;

    /// How many of a project were opened, and how many closed, from `from` on and before `until`.
    async fn count(
        &mut self,
        project: &ProjectId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<IncidentCounts, StoreError>;
}

/// How many incidents were opened and closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IncidentCounts {
    /// Opened.
    pub opened: u64,
    /// Closed.
    pub closed: u64,
}
