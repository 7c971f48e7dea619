//! Where reports of overage are kept.

use async_trait::async_trait;
use chrono::NaiveDate;

use crate::contract::ProjectId;
use crate::reference::OverageReportId;
use crate::reference::billing::OverageReport;
use crate::time::Timestamp;
use crate::unit_of_work::StoreError;

/// Keeps the overage reports of the unit of work's organization. Of a project and month at most one is pending.
#[async_trait]
pub trait OverageReportRepository: Send {
    /// Adds a report that is pending. `Ok(false)` when there is one of its project and month already.
    async fn insert(&mut self, report: &OverageReport) -> Result<bool, StoreError>;

    /// The report of a project and month that was not reported yet. `Ok(None)` when there is none.
    async fn pending(&mut self, project: &ProjectId, month: NaiveDate) -> Result<Option<OverageReport>, StoreError>;

    /// Up to how many records were reported for a project and month.
    async fn reported_up_to(&mut self, project: &ProjectId, month: NaiveDate) -> Result<u64, StoreError>;

    /// Marks it reported. `Ok(false)` when it was before, or there is none.
    async fn mark_reported(&mut self, id: OverageReportId, at: Timestamp) -> Result<bool, StoreError>;
}
