//! What happens to usage.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::events::DomainEvent;

/// A project used more in a month. How much, is looked up: by the time it is told it may be more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "UsagePeriodUpdated", version = 1, aggregate = "usage-period")]
pub struct UsagePeriodUpdated {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The first day of the month, in UTC.
    #[aggregate_id]
    pub month: NaiveDate,
}
