//! Finds out whether a project just got its first record.

use crate::contract::{Cause, Contract};
use crate::events::OutboxWriterExt;
use crate::reference::projects::{CheckFirstRecord, FirstRecordReceived, Project};
use crate::reference::{Progress, ReferencePorts, UseCaseError};

/// Marks the project and tells of it, once in the project's life however often it is run.
///
/// # Errors
/// The store.
pub async fn check_first_record(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &CheckFirstRecord,
) -> Result<Progress, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let project = uow.projects().find(&task.project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Ok(Progress::NotWanted("the project is gone"));
    }
    if !uow.records().any(&task.project_id).await? {
        return Ok(Progress::NotWanted("the project has no records"));
    }
    if !uow.projects().mark_first_record(&task.project_id, ports.now()).await? {
        return Ok(Progress::NotWanted("the project's first record came earlier"));
    }
    uow.outbox()
        .write(FirstRecordReceived {
            organization_id: task.organization_id.clone(),
            project_id: task.project_id.clone(),
        })
        .await?;
    uow.commit().await?;
    Ok(Progress::Done(()))
}
