//! Counts the week of a project.

use crate::contract::{Cause, Contract};
use crate::events::OutboxWriterExt;
use crate::reference::digests::{DigestGenerated, RunDigest, WeeklyDigest};
use crate::reference::projects::Project;
use crate::reference::{Progress, ReferencePorts, UseCaseError, WeeklyDigestId};

/// Keeps what was counted and tells of it in one transaction, once for each project and week. A week in which nothing happened
/// is not told of.
///
/// # Errors
/// The store.
pub async fn run_digest(ports: &ReferencePorts, cause: &Cause, task: &RunDigest) -> Result<Progress, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let project = uow.projects().find(&task.project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Ok(Progress::NotWanted("the project is gone"));
    }
    let (from, until) = (WeeklyDigest::beginning_of(task.until), task.until);
    let records = uow.records().count_received(&task.project_id, from, until).await?;
    let incidents = uow.incidents().count(&task.project_id, from, until).await?;
    if records + incidents.opened + incidents.closed == 0 {
        return Ok(Progress::NotWanted("nothing happened in the week"));
    }
    let digest = WeeklyDigest {
        id: WeeklyDigestId::new(&*ports.ids),
        organization_id: task.organization_id.clone(),
        project_id: task.project_id.clone(),
        until,
        records,
        incidents_opened: incidents.opened,
        incidents_closed: incidents.closed,
        created_at: ports.now(),
    };
    if !uow.digests().insert_if_absent(&digest).await? {
        return Ok(Progress::NotWanted("the week was counted already"));
    }
    uow.outbox()
        .write(DigestGenerated {
            organization_id: task.organization_id.clone(),
            project_id: task.project_id.clone(),
            digest_id: digest.id,
        })
        .await?;
    uow.commit().await?;
    Ok(Progress::Done(()))
}
