//! Removes the notifications about a deleted project.

use std::time::Duration;

use crate::contract::{Cause, Contract};
use crate::reference::notifications::DeleteNotifications;
use crate::reference::projects::Project;
use crate::reference::{Progress, ReferencePorts, UseCaseError};

/// How many notifications one transaction removes: few enough that nobody else waits for it.
const DELETED_AT_ONCE: u32 = 500;

/// Removes a part of them, the next one when it is run again.
///
/// # Errors
/// The store.
pub async fn delete_notifications(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &DeleteNotifications,
) -> Result<Progress, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let project = uow.projects().find(&task.project_id).await?;
    if project.as_ref().is_some_and(Project::is_live) {
        return Ok(Progress::NotWanted("the project is not deleted"));
    }
    let deleted = uow
        .notifications()
        .delete_by_project(&task.project_id, DELETED_AT_ONCE)
        .await?;
    uow.commit().await?;
    if deleted < u64::from(DELETED_AT_ONCE) {
        return Ok(Progress::Done(()));
    }
    Ok(Progress::NotYet(Duration::ZERO))
}
