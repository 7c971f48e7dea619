//! What happened in a week of a project.

use std::time::Duration;

use crate::contract::{OrganizationId, ProjectId};
use crate::reference::WeeklyDigestId;
use crate::time::{self, Timestamp};

/// How long a week is.
const WEEK: Duration = time::days(7);

/// What happened in a week of a project, as it was counted when it was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeeklyDigest {
    /// Its id.
    pub id: WeeklyDigestId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// Before when: a project has one digest for each end of a week.
    pub until: Timestamp,
    /// Records that came.
    pub records: u64,
    /// Incidents that were opened.
    pub incidents_opened: u64,
    /// Incidents that were closed.
    pub incidents_closed: u64,
    /// When it was counted.
    pub created_at: Timestamp,
}

impl WeeklyDigest {
    /// When the week that ends with `until` began.
    pub fn beginning_of(until: Timestamp) -> Timestamp {
        time::before(until, WEEK)
    }
}
