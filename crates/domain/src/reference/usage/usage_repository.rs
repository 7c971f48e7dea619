//! Where usage is kept.

use async_trait::async_trait;
use chrono::NaiveDate;

use crate::contract::ProjectId;
use crate::reference::usage::UsagePeriod;
use crate::unit_of_work::StoreError;

/// Keeps the usage of the unit of work's organization.
#[async_trait]
pub trait UsageRepository: Send {
    /// Adds a batch of `records` to the month that begins with `month`. Done twice it counts twice: whoever calls it makes
    /// sure that it is not.
    async fn add_batch(&mut self, project: &ProjectId, month: NaiveDate, records: u32) -> Result<(), StoreError>;

    /// A month of the project. `Ok(None)` when it used nothing in it.
    async fn find(&mut self, project: &ProjectId, month: NaiveDate) -> Result<Option<UsagePeriod>, StoreError>;

    /// The project's months, newest first, `limit` at most.
    async fn periods(&mut self, project: &ProjectId, limit: u32) -> Result<Vec<UsagePeriod>, StoreError>;
}
