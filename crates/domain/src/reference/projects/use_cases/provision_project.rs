//! Gives a new project what every project begins with.

use crate::contract::{Cause, Contract};
use crate::reference::projects::{Project, ProvisionProject};
use crate::reference::{Progress, ReferencePorts, UseCaseError};

/// Provisions a project; doing it again changes nothing.
///
/// # Errors
/// The store.
pub async fn provision_project(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &ProvisionProject,
) -> Result<Progress, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let project = uow.projects().find(&task.project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Ok(Progress::NotWanted("the project is gone"));
    }
    // The mark is all a project begins with so far; what joins it goes into this transaction.
    if !uow.projects().mark_provisioned(&task.project_id, ports.now()).await? {
        return Ok(Progress::NotWanted("the project was provisioned already"));
    }
    uow.commit().await?;
    Ok(Progress::Done(()))
}
