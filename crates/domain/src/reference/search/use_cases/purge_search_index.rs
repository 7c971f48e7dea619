//! Removes what the search index has of a deleted project.

use std::time::Duration;

use crate::contract::{Cause, Contract};
use crate::reference::projects::Project;
use crate::reference::search::PurgeSearchIndex;
use crate::reference::{Progress, ReferencePorts, UseCaseError};

/// How many records one transaction removes from the index: few enough that nobody else waits for it.
const PURGED_AT_ONCE: u32 = 500;

/// Removes a part of it, the next one when it is run again. What comes later goes with its record.
///
/// # Errors
/// The store.
pub async fn purge_search_index(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &PurgeSearchIndex,
) -> Result<Progress, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let project = uow.projects().find(&task.project_id).await?;
    if project.as_ref().is_some_and(Project::is_live) {
        return Ok(Progress::NotWanted("the project is not deleted"));
    }
    let purged = uow.search_index().purge(&task.project_id, PURGED_AT_ONCE).await?;
    uow.commit().await?;
    if purged < u64::from(PURGED_AT_ONCE) {
        return Ok(Progress::Done(()));
    }
    Ok(Progress::NotYet(Duration::ZERO))
}
