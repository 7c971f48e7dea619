//! Asks for everybody whom it concerns to be told of a week of a project.

use crate::contract::{Contract, EnvelopeFactory};
use crate::reference::notifications::use_cases::{Told, ask_for_notifications};
use crate::reference::notifications::{NotificationKind, RequestDigestNotifications};
use crate::reference::projects::Project;
use crate::reference::{Progress, ReferencePorts, UseCaseError};
use crate::tasks::{QueuePublisher, TaskContext};

/// Asks for every member of the organization. What each of them wants is looked at when they are told.
///
/// # Errors
/// The store; the queue. What was published stays so.
pub async fn request_digest_notifications(
    ports: &ReferencePorts,
    rail: (&dyn QueuePublisher, &EnvelopeFactory),
    ctx: &TaskContext,
    task: &RequestDigestNotifications,
) -> Result<Progress, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), ctx.cause()).await?;
    let project = uow.projects().find(&task.project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Ok(Progress::NotWanted("the project is gone"));
    }
    if uow.digests().find(task.digest_id).await?.is_none() {
        return Ok(Progress::NotWanted("the digest is gone"));
    }
    drop(uow);
    let kind = NotificationKind::WeeklyDigest;
    let told = Told {
        organization_id: &task.organization_id,
        project_id: &task.project_id,
        kind,
        subject_id: task.digest_id.uuid(),
    };
    ask_for_notifications(ports, rail, ctx, &told).await?;
    Ok(Progress::Done(()))
}
