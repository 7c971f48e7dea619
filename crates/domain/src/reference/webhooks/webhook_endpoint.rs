//! A webhook.

use crate::contract::{OrganizationId, ProjectId};
use crate::effects::{WebhookSecret, WebhookUrl};
use crate::reference::WebhookId;
use crate::reference::webhooks::{DeliveryHealth, DisableReason, WebhookEventKind};
use crate::time::Timestamp;

/// How many webhooks a project may have.
pub const MAX_ENDPOINTS: usize = 20;

/// A program that is told of what happens in a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project it is told of.
    pub project_id: ProjectId,
    /// Where it is.
    pub url: WebhookUrl,
    /// What it wants to be told, in order, each once.
    pub events: Vec<WebhookEventKind>,
    /// What it verifies with. Stores keep it sealed.
    pub secret: WebhookSecret,
    /// When it was made.
    pub created_at: Timestamp,
    /// How deliveries went lately.
    pub health: DeliveryHealth,
}

/// Whether a webhook is told anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// It is.
    Active,
    /// Not before this time.
    CoolingDown(Timestamp),
    /// Not any more, since then and for this reason.
    Disabled(Timestamp, DisableReason),
}

impl WebhookEndpoint {
    /// Whether it wants to be told of `kind`.
    pub fn wants(&self, kind: WebhookEventKind) -> bool {
        self.health.disabled.is_none() && self.events.contains(&kind)
    }

    /// Whether it is told anything at `now`.
    pub fn state_at(&self, now: Timestamp) -> EndpointState {
        match (self.health.disabled, self.health.cools_down_until) {
            (Some((at, reason)), _) => EndpointState::Disabled(at, reason),
            (None, Some(until)) if now < until => EndpointState::CoolingDown(until),
            (None, _) => EndpointState::Active,
        }
    }
}
