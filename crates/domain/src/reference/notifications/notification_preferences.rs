//! What a member wants to be told by e-mail.

use serde::{Deserialize, Serialize};

use crate::reference::notifications::NotificationKind;

/// What a member of an organization wants to be told by e-mail. Defaults to everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationPreferences {
    /// Incidents that were opened and closed.
    pub incident_emails: bool,
    /// The week of each project.
    pub digest_emails: bool,
}

impl Default for NotificationPreferences {
    fn default() -> Self {
        Self {
            incident_emails: true,
            digest_emails: true,
        }
    }
}

impl NotificationPreferences {
    /// Whether an e-mail of this kind is wanted.
    pub const fn wants_email(&self, kind: NotificationKind) -> bool {
        match kind {
            NotificationKind::IncidentOpened | NotificationKind::IncidentClosed => self.incident_emails,
            NotificationKind::WeeklyDigest => self.digest_emails,
            // Somebody asked for it, and for them.
            NotificationKind::ExportReady | NotificationKind::ExportFailed => true,
        }
    }
}
