//! What webhooks tell of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::contract::Payload;
use crate::reference::exports::{ExportCompleted, ExportFailed};
use crate::reference::identity::{ApiKeyCreated, ApiKeyRevoked, MemberJoined, Role};
use crate::reference::incidents::{IncidentClosed, IncidentOpened};
use crate::reference::invitations::InvitationExpired;
use crate::reference::projects::{FirstRecordReceived, ProjectDeleted};
use crate::reference::{ApiKeyId, ExportId, IncidentId, InvitationId, UserId, Wrong};

/// What a webhook tells of: the ids and facts of the event of the same name. On the wire `{"type": …, "data": {…}}`, in a
/// task's payload and in a webhook's body alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Payload)]
#[serde(tag = "type", content = "data")]
pub enum WebhookEvent {
    /// Someone became a member of the organization.
    MemberJoined {
        /// Who.
        user_id: UserId,
        /// As what.
        role: Role,
    },
    /// Nobody accepted an invitation in time.
    InvitationExpired {
        /// Which.
        invitation_id: InvitationId,
    },
    /// An API key was made.
    ApiKeyCreated {
        /// Which.
        api_key_id: ApiKeyId,
    },
    /// An API key stopped working.
    ApiKeyRevoked {
        /// Which.
        api_key_id: ApiKeyId,
    },
    /// The project got its first record.
    FirstRecordReceived {},
    /// Something that sends records is in trouble.
    IncidentOpened {
        /// Which trouble.
        incident_id: IncidentId,
    },
    /// It is over.
    IncidentClosed {
        /// Which trouble.
        incident_id: IncidentId,
    },
    /// The file of an export can be downloaded.
    ExportCompleted {
        /// Which.
        export_id: ExportId,
    },
    /// An export cannot be made.
    ExportFailed {
        /// Which.
        export_id: ExportId,
    },
    /// The project was deleted: the last that is told of it.
    ProjectDeleted {},
}

/// Which events a webhook may want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WebhookEventKind {
    /// [`WebhookEvent::MemberJoined`].
    MemberJoined,
    /// [`WebhookEvent::InvitationExpired`].
    InvitationExpired,
    /// [`WebhookEvent::ApiKeyCreated`].
    ApiKeyCreated,
    /// [`WebhookEvent::ApiKeyRevoked`].
    ApiKeyRevoked,
    /// [`WebhookEvent::FirstRecordReceived`].
    FirstRecordReceived,
    /// [`WebhookEvent::IncidentOpened`].
    IncidentOpened,
    /// [`WebhookEvent::IncidentClosed`].
    IncidentClosed,
    /// [`WebhookEvent::ExportCompleted`].
    ExportCompleted,
    /// [`WebhookEvent::ExportFailed`].
    ExportFailed,
    /// [`WebhookEvent::ProjectDeleted`].
    ProjectDeleted,
}

impl WebhookEvent {
    /// Which it is.
    pub const fn kind(&self) -> WebhookEventKind {
        match self {
            Self::MemberJoined { .. } => WebhookEventKind::MemberJoined,
            Self::InvitationExpired { .. } => WebhookEventKind::InvitationExpired,
            Self::ApiKeyCreated { .. } => WebhookEventKind::ApiKeyCreated,
            Self::ApiKeyRevoked { .. } => WebhookEventKind::ApiKeyRevoked,
            Self::FirstRecordReceived {} => WebhookEventKind::FirstRecordReceived,
            Self::IncidentOpened { .. } => WebhookEventKind::IncidentOpened,
            Self::IncidentClosed { .. } => WebhookEventKind::IncidentClosed,
            Self::ExportCompleted { .. } => WebhookEventKind::ExportCompleted,
            Self::ExportFailed { .. } => WebhookEventKind::ExportFailed,
            Self::ProjectDeleted {} => WebhookEventKind::ProjectDeleted,
        }
    }
}

impl WebhookEventKind {
    /// All of them, in the order in which they are listed to people.
    pub const ALL: [Self; 10] = [
        Self::MemberJoined,
        Self::InvitationExpired,
        Self::ApiKeyCreated,
        Self::ApiKeyRevoked,
        Self::FirstRecordReceived,
        Self::IncidentOpened,
        Self::IncidentClosed,
        Self::ExportCompleted,
        Self::ExportFailed,
        Self::ProjectDeleted,
    ];

    /// Its name, as it is asked for, stored and sent: that of the event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MemberJoined => "MemberJoined",
            Self::InvitationExpired => "InvitationExpired",
            Self::ApiKeyCreated => "ApiKeyCreated",
            Self::ApiKeyRevoked => "ApiKeyRevoked",
            Self::FirstRecordReceived => "FirstRecordReceived",
            Self::IncidentOpened => "IncidentOpened",
            Self::IncidentClosed => "IncidentClosed",
            Self::ExportCompleted => "ExportCompleted",
            Self::ExportFailed => "ExportFailed",
            Self::ProjectDeleted => "ProjectDeleted",
        }
    }
}

impl FromStr for WebhookEventKind {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(Wrong::new(
            "unknown_event",
            "must be MemberJoined, InvitationExpired, ApiKeyCreated, ApiKeyRevoked, FirstRecordReceived, IncidentOpened, IncidentClosed, \
             ExportCompleted, ExportFailed or ProjectDeleted",
        ))
    }
}

impl fmt::Display for WebhookEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&MemberJoined> for WebhookEvent {
    fn from(event: &MemberJoined) -> Self {
        Self::MemberJoined {
            user_id: event.user_id,
            role: event.role,
        }
    }
}

impl From<&InvitationExpired> for WebhookEvent {
    fn from(event: &InvitationExpired) -> Self {
        Self::InvitationExpired {
            invitation_id: event.invitation_id,
        }
    }
}

impl From<&ApiKeyCreated> for WebhookEvent {
    fn from(event: &ApiKeyCreated) -> Self {
        Self::ApiKeyCreated {
            api_key_id: event.api_key_id,
        }
    }
}

impl From<&ApiKeyRevoked> for WebhookEvent {
    fn from(event: &ApiKeyRevoked) -> Self {
        Self::ApiKeyRevoked {
            api_key_id: event.api_key_id,
        }
    }
}

impl From<&FirstRecordReceived> for WebhookEvent {
    fn from(_: &FirstRecordReceived) -> Self {
        Self::FirstRecordReceived {}
    }
}

impl From<&IncidentOpened> for WebhookEvent {
    fn from(event: &IncidentOpened) -> Self {
        Self::IncidentOpened {
            incident_id: event.incident_id,
        }
    }
}

impl From<&IncidentClosed> for WebhookEvent {
    fn from(event: &IncidentClosed) -> Self {
        Self::IncidentClosed {
            incident_id: event.incident_id,
        }
    }
}

impl From<&ExportCompleted> for WebhookEvent {
    fn from(event: &ExportCompleted) -> Self {
        Self::ExportCompleted {
            export_id: event.export_id,
        }
    }
}

impl From<&ExportFailed> for WebhookEvent {
    fn from(event: &ExportFailed) -> Self {
        Self::ExportFailed {
            export_id: event.export_id,
        }
    }
}

impl From<&ProjectDeleted> for WebhookEvent {
    fn from(_: &ProjectDeleted) -> Self {
        Self::ProjectDeleted {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::catalogue;

    #[test]
    fn every_kind_is_an_event_of_the_catalogue_and_the_refusal_of_another_lists_them_all() {
        let refusal = "Nonsense".parse::<WebhookEventKind>().unwrap_err().detail;
        for kind in WebhookEventKind::ALL {
            let name = kind.as_str();
            assert!(
                catalogue().events().iter().any(|event| event.name.as_str() == name),
                "{name}"
            );
            assert_eq!(name.parse(), Ok(kind));
            assert!(refusal.contains(name), "{name}");
        }
    }

    #[test]
    fn what_is_sent_names_its_kind() {
        let event = WebhookEvent::FirstRecordReceived {};
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json, serde_json::json!({"type": event.kind().as_str(), "data": {}}));
    }
}
