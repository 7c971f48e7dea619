//! What a webhook says.

use serde::Serialize;

use crate::contract::{OrganizationId, ProjectId};
use crate::ids::MessageId;
use crate::reference::webhooks::{DeliverWebhook, WebhookEvent};
use crate::time::Timestamp;

#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    event: &'a WebhookEvent,
    event_id: MessageId,
    timestamp: Timestamp,
    organization_id: &'a OrganizationId,
    project_id: &'a ProjectId,
}

/// The body of a webhook: the event's `type` and `data`, its id, when it happened, and whose it is. The same for every
/// attempt. What it says of each kind is released: fields are added, never changed or removed.
///
/// # Errors
/// Never: it holds nothing that JSON cannot.
pub fn webhook_body(task: &DeliverWebhook) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Body {
        event: &task.event,
        event_id: task.event_id,
        timestamp: task.occurred_at,
        organization_id: &task.organization_id,
        project_id: &task.project_id,
    })
}
