//! Takes a record into the search index.

use crate::contract::{Cause, Contract};
use crate::reference::projects::Project;
use crate::reference::search::{RefreshSearchIndex, SearchText};
use crate::reference::{Progress, ReferencePorts, UseCaseError};

/// Puts what the record says now; doing it again changes nothing.
///
/// # Errors
/// The store.
pub async fn refresh_search_index(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &RefreshSearchIndex,
) -> Result<Progress, UseCaseError> {
    const GONE: Progress = Progress::NotWanted("the record is gone");
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let project = uow.projects().find(&task.project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Ok(Progress::NotWanted("the project is gone"));
    }
    let Some(record) = uow.records().find(&task.project_id, task.record_id).await? else {
        return Ok(GONE);
    };
    let text = SearchText::of(&record);
    let now = ports.now();
    if !uow.search_index().put(&task.project_id, record.id, &text, now).await? {
        return Ok(GONE);
    }
    uow.commit().await?;
    Ok(Progress::Done(()))
}
