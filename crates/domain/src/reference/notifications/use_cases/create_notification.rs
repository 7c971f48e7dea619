//! Tells a member something.

use crate::contract::{Cause, Contract};
use crate::events::OutboxWriterExt;
use crate::reference::notifications::{CreateNotification, Notification, NotificationCreated};
use crate::reference::projects::Project;
use crate::reference::{NotificationId, Progress, ReferencePorts, UseCaseError};

/// Adds the notification and what asks for its e-mail in one transaction: run again, it finds the row, whose event has left with
/// it or will, and adds neither.
///
/// # Errors
/// The store.
pub async fn create_notification(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &CreateNotification,
) -> Result<Progress, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let project = uow.projects().find(&task.project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Ok(Progress::NotWanted("the project is gone"));
    }
    if uow.memberships().find(task.user_id).await?.is_none() {
        return Ok(Progress::NotWanted("the person is no member any more"));
    }
    let notification = Notification {
        id: NotificationId::new(&*ports.ids),
        organization_id: task.organization_id.clone(),
        project_id: task.project_id.clone(),
        user_id: task.user_id,
        kind: task.kind,
        subject_id: task.subject_id,
        idempotency_key: task.idempotency_key.as_str().to_owned(),
        created_at: ports.now(),
        emailed_at: None,
    };
    if !uow.notifications().insert_if_absent(&notification).await? {
        return Ok(Progress::NotWanted("the notification is there already"));
    }
    uow.outbox()
        .write(NotificationCreated {
            organization_id: task.organization_id.clone(),
            project_id: task.project_id.clone(),
            notification_id: notification.id,
        })
        .await?;
    uow.commit().await?;
    Ok(Progress::Done(()))
}
