//! A notification.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::{OrganizationId, Payload, ProjectId};
use crate::reference::{NotificationId, UserId, Wrong};
use crate::time::Timestamp;

/// Something a member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its id.
    pub id: NotificationId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project it is about.
    pub project_id: ProjectId,
    /// Whom it is for.
    pub user_id: UserId,
    /// What happened.
    pub kind: NotificationKind,
    /// To what: an incident, a digest or an export, as the kind says.
    pub subject_id: Uuid,
    /// Tells it from the others of this person: the same thing is told once.
    pub idempotency_key: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its e-mail was sent.
    pub emailed_at: Option<Timestamp>,
}

/// What a notification tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Payload)]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// An incident was opened.
    IncidentOpened,
    /// An incident was closed.
    IncidentClosed,
    /// A week of a project is over.
    WeeklyDigest,
    /// The file of an export can be downloaded.
    ExportReady,
    /// An export could not be made.
    ExportFailed,
}

impl NotificationKind {
    /// The kind as text, as it is stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IncidentOpened => "incident_opened",
            Self::IncidentClosed => "incident_closed",
            Self::WeeklyDigest => "weekly_digest",
            Self::ExportReady => "export_ready",
            Self::ExportFailed => "export_failed",
        }
    }

    /// What tells a notification of this about `subject` from the others of a person.
    pub fn key_of(self, subject: Uuid) -> String {
        format!("{}:{subject}", self.as_str())
    }
}

impl FromStr for NotificationKind {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        match text {
            "incident_opened" => Ok(Self::IncidentOpened),
            "incident_closed" => Ok(Self::IncidentClosed),
            "weekly_digest" => Ok(Self::WeeklyDigest),
            "export_ready" => Ok(Self::ExportReady),
            "export_failed" => Ok(Self::ExportFailed),
            _ => Err(Wrong::new(
                "unknown_kind",
                "must be incident_opened, incident_closed, weekly_digest, export_ready or export_failed",
            )),
        }
    }
}
