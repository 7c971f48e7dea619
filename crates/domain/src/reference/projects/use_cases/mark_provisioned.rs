//! Marks a project that has everything it begins with.

use crate::contract::{Cause, Contract};
use crate::reference::projects::{Project, ProvisionProject};
use crate::reference::{ReferencePorts, UseCaseError};

/// Marks the project; doing it again changes nothing. Answers whether it is marked, which it is not when it was deleted.
///
/// # Errors
/// The store.
pub async fn mark_provisioned(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &ProvisionProject,
) -> Result<bool, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let project = uow.projects().find(&task.project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Ok(false);
    }
    uow.projects().mark_provisioned(&task.project_id, ports.now()).await?;
    uow.commit().await?;
    Ok(true)
}
