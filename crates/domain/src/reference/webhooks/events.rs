//! What happens to webhooks.

use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, ProjectId};
use crate::events::DomainEvent;
use crate::reference::WebhookId;
use crate::reference::webhooks::DisableReason;

/// A webhook was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "WebhookEndpointCreated", version = 1, aggregate = "webhook")]
pub struct WebhookEndpointCreated {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project it tells of.
    pub project_id: ProjectId,
    /// The webhook.
    #[aggregate_id]
    pub webhook_id: WebhookId,
}

/// A webhook was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "WebhookEndpointDeleted", version = 1, aggregate = "webhook")]
pub struct WebhookEndpointDeleted {
    /// Whose it was.
    pub organization_id: OrganizationId,
    /// The project it told of.
    pub project_id: ProjectId,
    /// The webhook.
    #[aggregate_id]
    pub webhook_id: WebhookId,
}

/// A webhook is told nothing any more, because of how its receiver answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, DomainEvent)]
#[event(name = "WebhookEndpointDisabled", version = 1, aggregate = "webhook")]
pub struct WebhookEndpointDisabled {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project it told of.
    pub project_id: ProjectId,
    /// The webhook.
    #[aggregate_id]
    pub webhook_id: WebhookId,
    /// Why.
    pub reason: DisableReason,
}
