//! Webhooks in memory.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::WebhookId;
use aftercommit_domain::reference::webhooks::{DeliveryHealth, WebhookEndpoint, WebhookEndpointRepository};
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::tables::Rows;

#[async_trait]
impl WebhookEndpointRepository for Rows<'_> {
    async fn insert(&mut self, endpoint: &WebhookEndpoint) -> Result<(), StoreError> {
        let key = (endpoint.organization_id.clone(), endpoint.id);
        match self.tables.webhooks.insert(key, endpoint.clone()) {
            None => Ok(()),
            Some(_) => Err(StoreError::Duplicate { what: "webhook" }),
        }
    }

    async fn find(&mut self, id: WebhookId) -> Result<Option<WebhookEndpoint>, StoreError> {
        let key = self.key(id);
        Ok(key.and_then(|key| self.tables.webhooks.get(&key).cloned()))
    }

    async fn find_to_change(&mut self, id: WebhookId) -> Result<Option<WebhookEndpoint>, StoreError> {
        // There is one unit of work at a time.
        self.find(id).await
    }

    async fn of_project(&mut self, project: &ProjectId, limit: u32) -> Result<Vec<WebhookEndpoint>, StoreError> {
        let all = self.tables.webhooks.values();
        let mut found: Vec<_> = all
            .filter(|endpoint| self.sees(&endpoint.organization_id) && endpoint.project_id == *project)
            .cloned()
            .collect();
        found.sort_by_key(|endpoint| (endpoint.created_at, endpoint.id));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    async fn record_health(&mut self, id: WebhookId, health: &DeliveryHealth) -> Result<bool, StoreError> {
        let key = self.key(id);
        let found = key.and_then(|key| self.tables.webhooks.get_mut(&key));
        Ok(found.map(|endpoint| endpoint.health = *health).is_some())
    }

    async fn delete(&mut self, project: &ProjectId, id: WebhookId) -> Result<bool, StoreError> {
        let Some(key) = self.key(id) else { return Ok(false) };
        let is_theirs = |endpoint: &WebhookEndpoint| endpoint.project_id == *project;
        if !self.tables.webhooks.get(&key).is_some_and(is_theirs) {
            return Ok(false);
        }
        Ok(self.tables.webhooks.remove(&key).is_some())
    }
}
