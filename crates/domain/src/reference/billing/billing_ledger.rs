//! What stands in for a billing provider: a ledger in the product's own database.

use async_trait::async_trait;
use chrono::NaiveDate;

use crate::contract::ProjectId;
use crate::reference::billing::MeteredUsage;
use crate::time::Timestamp;
use crate::unit_of_work::StoreError;

/// Keeps what was reported of the unit of work's organization, as a billing provider would.
#[async_trait]
pub trait BillingLedger: Send {
    /// Takes a report down, once for each key: `Ok(false)` when there is one with this key.
    async fn append(&mut self, entry: &BillingLedgerEntry) -> Result<bool, StoreError>;

    /// How many records of a month were taken down for the project.
    async fn total(&mut self, project: &ProjectId, month: NaiveDate) -> Result<u64, StoreError>;
}

/// A report as it was taken down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingLedgerEntry {
    /// What tells it from others.
    pub idempotency_key: String,
    /// What was reported.
    pub usage: MeteredUsage,
    /// When.
    pub at: Timestamp,
}
