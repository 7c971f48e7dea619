//! Work on billing.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::reference::usage::UsagePeriodUpdated;
use crate::tasks::Task;

/// Report what a project used beyond what is included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "billing", name = "report-overage", version = 1)]
pub struct ReportOverage {
    /// Who pays.
    pub organization_id: OrganizationId,
    /// For which project.
    pub project_id: ProjectId,
    /// For which month: its first day, in UTC.
    pub month: NaiveDate,
}

impl From<&UsagePeriodUpdated> for ReportOverage {
    fn from(event: &UsagePeriodUpdated) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            month: event.month,
        }
    }
}
