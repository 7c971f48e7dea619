//! Decides whether a notification's e-mail is still to be sent, and by whom.

use std::time::Duration;

use crate::contract::{Cause, Contract};
use crate::effects::EmailAddress;
use crate::ids::MessageId;
use crate::reference::digests::WeeklyDigest;
use crate::reference::exports::Export;
use crate::reference::incidents::Incident;
use crate::reference::invitations::EmailClaim;
use crate::reference::notifications::{Notification, NotificationKind, SendNotificationEmail};
use crate::reference::projects::Project;
use crate::reference::{
    ExportId, IncidentId, Name, NotificationId, Progress, ReferencePorts, ReferenceUnitOfWork, UseCaseError,
    WeeklyDigestId,
};
use crate::time;

/// How long another task's claim is waited for; longer than a send may take.
const CLAIM_HOLDS: Duration = time::minutes(2);

/// What the e-mail of a notification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationEmail {
    /// Whom to send it to.
    pub to: EmailAddress,
    /// What it is about, for whoever asks about it.
    pub notification_id: NotificationId,
    /// The project it is about.
    pub project_name: Name,
    /// What happened.
    pub content: NotificationContent,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotificationContent {
    /// An incident was opened.
    IncidentOpened(Incident),
    /// An incident was closed.
    IncidentClosed(Incident),
    /// A week is over.
    WeeklyDigest(WeeklyDigest),
    /// The file of an export can be downloaded.
    ExportReady(Export),
    /// An export could not be made.
    ExportFailed(Export),
}

/// Claims the e-mail for `task_id`, durably before anything is sent. What its recipient wants is looked at here, because that
/// is when it matters.
///
/// # Errors
/// The store.
pub async fn claim_notification_email(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &SendNotificationEmail,
    task_id: MessageId,
) -> Result<Progress<NotificationEmail>, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let Some(notification) = uow.notifications().find(task.notification_id).await? else {
        return Ok(Progress::NotWanted("the notification was deleted"));
    };
    if notification.emailed_at.is_some() {
        return Ok(Progress::NotWanted("the e-mail was sent already"));
    }
    let preferences = uow.notification_preferences().find(notification.user_id).await?;
    if !preferences.unwrap_or_default().wants_email(notification.kind) {
        return Ok(Progress::NotWanted("its recipient wants no such e-mail"));
    }
    let is_member = uow.memberships().find(notification.user_id).await?.is_some();
    let user = uow.users().find(notification.user_id).await?.filter(|_| is_member);
    let Some(user) = user else {
        return Ok(Progress::NotWanted("the person is no member any more"));
    };
    let project = uow.projects().find(&notification.project_id).await?;
    let Some(project) = project.filter(Project::is_live) else {
        return Ok(Progress::NotWanted("the project was deleted"));
    };
    let Some(content) = content_of(&mut *uow, &notification).await? else {
        return Ok(Progress::NotWanted("what it is about is gone"));
    };
    let now = ports.now();
    let claim = uow
        .notifications()
        .claim_email(notification.id, task_id, now, time::before(now, CLAIM_HOLDS))
        .await?;
    match claim {
        EmailClaim::Claimed => {}
        EmailClaim::AlreadySent => return Ok(Progress::NotWanted("the e-mail was sent already")),
        EmailClaim::HeldByAnother => return Ok(Progress::NotYet(CLAIM_HOLDS)),
    }
    uow.commit().await?;
    Ok(Progress::Done(NotificationEmail {
        to: user.email,
        notification_id: notification.id,
        project_name: project.name,
        content,
    }))
}

async fn content_of(
    uow: &mut dyn ReferenceUnitOfWork,
    notification: &Notification,
) -> Result<Option<NotificationContent>, UseCaseError> {
    let subject = notification.subject_id;
    Ok(match notification.kind {
        NotificationKind::IncidentOpened => {
            let incident = uow.incidents().find(IncidentId::from(subject)).await?;
            incident.map(NotificationContent::IncidentOpened)
        }
        NotificationKind::IncidentClosed => {
            let incident = uow.incidents().find(IncidentId::from(subject)).await?;
            incident.map(NotificationContent::IncidentClosed)
        }
        NotificationKind::WeeklyDigest => {
            let digest = uow.digests().find(WeeklyDigestId::from(subject)).await?;
            digest.map(NotificationContent::WeeklyDigest)
        }
        NotificationKind::ExportReady => {
            let export = uow.exports().find(ExportId::from(subject)).await?;
            export.map(NotificationContent::ExportReady)
        }
        NotificationKind::ExportFailed => {
            let export = uow.exports().find(ExportId::from(subject)).await?;
            export.map(NotificationContent::ExportFailed)
        }
    })
}
