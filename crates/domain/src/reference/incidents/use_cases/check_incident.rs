//! Closes an incident whose trouble is over or cannot be told any more.

use crate::contract::{Cause, Contract};
use crate::reference::incidents::use_cases::close;
use crate::reference::incidents::{CheckIncident, Severity};
use crate::reference::projects::Project;
use crate::reference::{Progress, ReferencePorts, UseCaseError};

/// Closes it when its project or its record is gone, or the record does not tell of an error any more: what an evaluation that
/// was given up has missed.
///
/// # Errors
/// The store.
pub async fn check_incident(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &CheckIncident,
) -> Result<Progress, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let Some(incident) = uow.incidents().find(task.incident_id).await? else {
        return Ok(Progress::NotWanted("the incident is gone"));
    };
    if incident.closed.is_some() {
        return Ok(Progress::NotWanted("the incident is closed"));
    }
    let project = uow.projects().find(&incident.project_id).await?;
    let record = uow.records().find(&incident.project_id, incident.record_id).await?;
    let told_at = match &record {
        Some(record)
            if project.as_ref().is_some_and(Project::is_live)
                && Severity::of(&record.body) == Some(Severity::Error) =>
        {
            return Ok(Progress::NotWanted("the record still tells of it"));
        }
        Some(record) => record.received_at.max(incident.told_at),
        None => ports.now(),
    };
    if !close(ports, &mut *uow, &incident, told_at).await? {
        return Ok(Progress::NotWanted("the incident is closed"));
    }
    uow.commit().await?;
    Ok(Progress::Done(()))
}
