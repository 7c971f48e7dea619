//! Work on incidents.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::reference::records::RecordSettled;
use crate::reference::{IncidentId, RecordId};
use crate::tasks::Task;

/// Find out what a settled record means for the incidents of its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "incidents", name = "evaluate", version = 1)]
pub struct EvaluateRecord {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The record.
    pub record_id: RecordId,
}

/// Ask for every open incident to be checked. Published by its schedule, every hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "incidents", name = "sweep-open", version = 1)]
#[exempt(system, "the tick of a schedule is everybody's; what it asks for has its tenant")]
pub struct SweepOpenIncidents {}

/// Close an incident whose trouble is over, or cannot be told any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "incidents", name = "check", version = 1)]
pub struct CheckIncident {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The incident.
    pub incident_id: IncidentId,
}

impl From<&RecordSettled> for EvaluateRecord {
    fn from(event: &RecordSettled) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            record_id: event.record_id,
        }
    }
}
