//! Work on digests.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::tasks::Task;
use crate::time::Timestamp;

/// Ask for the week of every project. Published by its schedule, every Friday; the week is that before its slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "digests", name = "trigger-weekly", version = 1)]
#[exempt(system, "the tick of a schedule is everybody's; what it asks for has its tenant")]
pub struct TriggerWeeklyDigests {}

/// Count the week of a project that ends at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "digests", name = "run-for-project", version = 1)]
pub struct RunDigest {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// When the week ends: the slot of the tick that asked for it, so that a late or repeated run counts the same week.
    pub until: Timestamp,
}
