//! What happens to notifications.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::events::DomainEvent;
use crate::reference::NotificationId;

/// A member is told something; its e-mail is still to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "NotificationCreated", version = 1, aggregate = "notification")]
pub struct NotificationCreated {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project it is about.
    pub project_id: ProjectId,
    /// The notification.
    #[aggregate_id]
    pub notification_id: NotificationId,
}
