//! Work on notifications.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::{BoundedText, OrganizationId, Payload, ProjectId};
use crate::reference::digests::DigestGenerated;
use crate::reference::incidents::{IncidentClosed, IncidentOpened};
use crate::reference::notifications::{NotificationCreated, NotificationKind};
use crate::reference::projects::ProjectDeleted;
use crate::reference::{IncidentId, NotificationId, UserId, WeeklyDigestId};
use crate::tasks::Task;

/// Ask for everybody whom it concerns to be told of an incident. A task, because a route has no store to look them up in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "notifications", name = "request-incident-notifications", version = 1)]
pub struct RequestIncidentNotifications {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The incident.
    pub incident_id: IncidentId,
    /// What happened to it.
    pub change: IncidentChange,
}

/// What happened to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Payload)]
#[serde(rename_all = "snake_case")]
pub enum IncidentChange {
    /// It was opened.
    Opened,
    /// It was closed.
    Closed,
}

/// Ask for everybody whom it concerns to be told of a week of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "notifications", name = "request-digest-notifications", version = 1)]
pub struct RequestDigestNotifications {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The digest.
    pub digest_id: WeeklyDigestId,
}

/// Tell one member something, once for each key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "notifications", name = "create-notification", version = 1)]
pub struct CreateNotification {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project it is about.
    pub project_id: ProjectId,
    /// Whom it is for.
    pub user_id: UserId,
    /// What happened.
    pub kind: NotificationKind,
    /// To what.
    pub subject_id: Uuid,
    /// Tells it from the others of this person.
    pub idempotency_key: BoundedText<200>,
}

/// Remove every notification about a deleted project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "notifications", name = "delete-by-project", version = 1)]
pub struct DeleteNotifications {
    /// Whose they are.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
}

/// Send the e-mail of a notification, if its recipient wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "notification-email", name = "send", version = 1)]
pub struct SendNotificationEmail {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project it is about.
    pub project_id: ProjectId,
    /// The notification.
    pub notification_id: NotificationId,
}

impl From<&IncidentOpened> for RequestIncidentNotifications {
    fn from(event: &IncidentOpened) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            incident_id: event.incident_id,
            change: IncidentChange::Opened,
        }
    }
}

impl From<&IncidentClosed> for RequestIncidentNotifications {
    fn from(event: &IncidentClosed) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            incident_id: event.incident_id,
            change: IncidentChange::Closed,
        }
    }
}

impl From<&DigestGenerated> for RequestDigestNotifications {
    fn from(event: &DigestGenerated) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            digest_id: event.digest_id,
        }
    }
}

impl From<&ProjectDeleted> for DeleteNotifications {
    fn from(event: &ProjectDeleted) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
        }
    }
}

impl From<&NotificationCreated> for SendNotificationEmail {
    fn from(event: &NotificationCreated) -> Self {
        Self {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            notification_id: event.notification_id,
        }
    }
}
