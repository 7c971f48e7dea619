//! A report of what was used beyond what is included.

use chrono::NaiveDate;

use crate::contract::{OrganizationId, ProjectId};
use crate::effects::IdempotencyKey;
use crate::ids::MessageId;
use crate::reference::OverageReportId;
use crate::reference::billing::MeteredUsage;
use crate::time::Timestamp;

/// What is reported once, as it was when it was decided: whatever is used meanwhile, every attempt to report it says the same
/// under the same key, and the rest is another report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverageReport {
    /// Its id.
    pub id: OverageReportId,
    /// Who pays.
    pub organization_id: OrganizationId,
    /// For which project.
    pub project_id: ProjectId,
    /// For which month: its first day, in UTC.
    pub month: NaiveDate,
    /// How many records beyond what is included were reported before it.
    pub from: u64,
    /// How many are with it.
    pub up_to: u64,
    /// When it was decided.
    pub created_at: Timestamp,
    /// When it was reported.
    pub reported_at: Option<Timestamp>,
}

impl OverageReport {
    /// What the provider is told.
    pub fn usage(&self) -> MeteredUsage {
        MeteredUsage {
            organization_id: self.organization_id.clone(),
            project_id: self.project_id.clone(),
            month: self.month,
            records: self.up_to.saturating_sub(self.from),
        }
    }

    /// The key it is told with: the report's own, so that another attempt or another task says it under the same one.
    pub fn idempotency_key(&self) -> IdempotencyKey {
        IdempotencyKey::from(MessageId::from(self.id.uuid()))
    }
}
