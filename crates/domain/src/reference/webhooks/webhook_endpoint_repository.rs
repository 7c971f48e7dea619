//! Where webhooks are kept.

use async_trait::async_trait;

use crate::contract::ProjectId;
use crate::reference::WebhookId;
use crate::reference::webhooks::{DeliveryHealth, WebhookEndpoint};
use crate::unit_of_work::StoreError;

/// Keeps the webhooks of the unit of work's organization. Secrets are never stored in clear.
#[async_trait]
pub trait WebhookEndpointRepository: Send {
    /// Adds a webhook.
    async fn insert(&mut self, endpoint: &WebhookEndpoint) -> Result<(), StoreError>;

    /// A webhook. `Ok(None)` when there is none.
    async fn find(&mut self, id: WebhookId) -> Result<Option<WebhookEndpoint>, StoreError>;

    /// A webhook whose health is about to be recorded: until this unit of work is over, no other one finds it so.
    async fn find_to_change(&mut self, id: WebhookId) -> Result<Option<WebhookEndpoint>, StoreError>;

    /// The webhooks of a project, the oldest first, `limit` at most.
    async fn of_project(&mut self, project: &ProjectId, limit: u32) -> Result<Vec<WebhookEndpoint>, StoreError>;

    /// Records how deliveries went. `Ok(false)` when it is gone.
    async fn record_health(&mut self, id: WebhookId, health: &DeliveryHealth) -> Result<bool, StoreError>;

    /// Deletes a webhook of a project, with its secret. `Ok(false)` when there is none.
    async fn delete(&mut self, project: &ProjectId, id: WebhookId) -> Result<bool, StoreError>;
}
