//! Work on webhooks.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::events::Occurrence;
use crate::ids::MessageId;
use crate::reference::WebhookId;
use crate::reference::webhooks::WebhookEvent;
use crate::tasks::Task;
use crate::time::Timestamp;

/// Find the webhooks of a project that want an event, and let each be delivered. Those of a project run in order, so that
/// the deliveries of a webhook are in the order of the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "webhooks", name = "fan-out", version = 1, order_key = project_id)]
pub struct FanOutWebhooks {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The event's id.
    pub event_id: MessageId,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What happened.
    pub event: WebhookEvent,
}

impl FanOutWebhooks {
    /// Tells the webhooks of this project of `event`.
    pub fn of(
        organization_id: &OrganizationId,
        project_id: &ProjectId,
        occurrence: &Occurrence,
        event: impl Into<WebhookEvent>,
    ) -> Self {
        Self {
            organization_id: organization_id.clone(),
            project_id: project_id.clone(),
            event_id: occurrence.event_id,
            occurred_at: occurrence.occurred_at,
            event: event.into(),
        }
    }
}

/// Tell one webhook of an event. Those of a webhook run in order, also while one of them waits for its next attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Task)]
#[task(topic = "webhooks", name = "deliver", version = 1, order_key = webhook_id)]
pub struct DeliverWebhook {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project.
    pub project_id: ProjectId,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// The event's id.
    pub event_id: MessageId,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What happened.
    pub event: WebhookEvent,
}

impl DeliverWebhook {
    /// Tells this webhook.
    pub(super) fn of(task: &FanOutWebhooks, webhook_id: WebhookId) -> Self {
        Self {
            organization_id: task.organization_id.clone(),
            project_id: task.project_id.clone(),
            webhook_id,
            event_id: task.event_id,
            occurred_at: task.occurred_at,
            event: task.event.clone(),
        }
    }
}
