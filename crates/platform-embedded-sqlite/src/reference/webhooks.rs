//! Webhooks.

use aftercommit_domain::contract::{OrganizationId, ProjectId, Sealer, Tenant};
use aftercommit_domain::effects::{WebhookNetwork, WebhookSecret, WebhookUrl};
use aftercommit_domain::reference::webhooks::{
    DeliveryHealth, WebhookEndpoint, WebhookEndpointRepository, WebhookEventKind,
};
use aftercommit_domain::reference::{WebhookId, Wrong};
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{Rows, bounded, corrupt, organization_id, project_id, time};
use super::sealed_email::Place;
use crate::columns::{micros, timestamp};

#[derive(sqlx::FromRow)]
struct WebhookRow {
    organization_id: String,
    id: Uuid,
    project_id: String,
    url: String,
    events: String,
    secret_key: String,
    secret: Vec<u8>,
    created_at: i64,
    failures: i32,
    failing_since: Option<i64>,
    cools_down_until: Option<i64>,
    disabled_at: Option<i64>,
    disabled_reason: Option<String>,
}

fn secret_of(organization: &OrganizationId, id: Uuid) -> Place<'static> {
    Place {
        tenant: Tenant::organization(organization),
        column: "reference_webhook_endpoints.secret",
        row: id,
    }
}

#[async_trait]
impl WebhookEndpointRepository for Rows<'_> {
    async fn insert(&mut self, endpoint: &WebhookEndpoint) -> Result<(), StoreError> {
        let id = endpoint.id.uuid();
        let sealed = secret_of(&endpoint.organization_id, id).seal_text(self.sealer, endpoint.secret.expose())?;
        let events: Vec<&str> = endpoint.events.iter().map(|kind| kind.as_str()).collect();
        let health = &endpoint.health;
        let insert = sqlx::query(
            "INSERT INTO reference_webhook_endpoints (organization_id, id, project_id, url, events, secret_key, \
             secret, created_at, failures, failing_since, cools_down_until, disabled_at, disabled_reason) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(endpoint.organization_id.as_str())
        .bind(id)
        .bind(endpoint.project_id.as_str())
        .bind(endpoint.url.as_str())
        .bind(events.join(" "))
        .bind(sealed.key_id)
        .bind(sealed.bytes)
        .bind(micros(endpoint.created_at))
        .bind(failures_of(health))
        .bind(health.failing_since.map(micros))
        .bind(health.cools_down_until.map(micros))
        .bind(health.disabled.map(|(at, _)| micros(at)))
        .bind(health.disabled.map(|(_, reason)| reason.as_str()));
        self.run("webhooks.insert", insert).await?;
        Ok(())
    }

    async fn find(&mut self, id: WebhookId) -> Result<Option<WebhookEndpoint>, StoreError> {
        let select = sqlx::query_as::<_, WebhookRow>(
            "SELECT organization_id, id, project_id, url, events, secret_key, secret, created_at, failures, \
             failing_since, cools_down_until, disabled_at, disabled_reason \
             FROM reference_webhook_endpoints WHERE organization_id = ?1 AND id = ?2",
        )
        .bind(self.organization)
        .bind(id.uuid());
        let row = bounded("webhooks.find", select.fetch_optional(&mut *self.connection)).await?;
        row.map(|row| row.open(self.sealer)).transpose()
    }

    async fn find_to_change(&mut self, id: WebhookId) -> Result<Option<WebhookEndpoint>, StoreError> {
        // There is one writer at a time, and every unit of work is one from its beginning.
        self.find(id).await
    }

    async fn of_project(&mut self, project: &ProjectId, limit: u32) -> Result<Vec<WebhookEndpoint>, StoreError> {
        let select = sqlx::query_as::<_, WebhookRow>(
            "SELECT organization_id, id, project_id, url, events, secret_key, secret, created_at, failures, \
             failing_since, cools_down_until, disabled_at, disabled_reason \
             FROM reference_webhook_endpoints WHERE organization_id = ?1 AND project_id = ?2 \
             ORDER BY created_at, id LIMIT ?3",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(limit);
        let rows = bounded("webhooks.of_project", select.fetch_all(&mut *self.connection)).await?;
        rows.into_iter().map(|row| row.open(self.sealer)).collect()
    }

    async fn record_health(&mut self, id: WebhookId, health: &DeliveryHealth) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE reference_webhook_endpoints SET failures = ?1, failing_since = ?2, cools_down_until = ?3, \
             disabled_at = ?4, disabled_reason = ?5 WHERE organization_id = ?6 AND id = ?7",
        )
        .bind(failures_of(health))
        .bind(health.failing_since.map(micros))
        .bind(health.cools_down_until.map(micros))
        .bind(health.disabled.map(|(at, _)| micros(at)))
        .bind(health.disabled.map(|(_, reason)| reason.as_str()))
        .bind(self.organization)
        .bind(id.uuid());
        Ok(self.run("webhooks.record_health", update).await? == 1)
    }

    async fn delete(&mut self, project: &ProjectId, id: WebhookId) -> Result<bool, StoreError> {
        let delete = sqlx::query(
            "DELETE FROM reference_webhook_endpoints WHERE organization_id = ?1 AND project_id = ?2 AND id = ?3",
        )
        .bind(self.organization)
        .bind(project.as_str())
        .bind(id.uuid());
        Ok(self.run("webhooks.delete", delete).await? == 1)
    }
}

/// More than fit have no other meaning than as many as fit.
fn failures_of(health: &DeliveryHealth) -> i32 {
    i32::try_from(health.failures).unwrap_or(i32::MAX)
}

impl WebhookRow {
    fn open(self, sealer: &dyn Sealer) -> Result<WebhookEndpoint, StoreError> {
        const WHAT: &str = "webhook";
        let wrong = |error: Wrong| corrupt(WHAT, &error);
        let organization_id = organization_id(&self.organization_id, WHAT)?;
        let secret = secret_of(&organization_id, self.id).open_text(sealer, self.secret_key, self.secret)?;
        let events: Result<Vec<WebhookEventKind>, Wrong> = self.events.split(' ').map(str::parse).collect();
        let reason = self
            .disabled_reason
            .map(|reason| reason.parse())
            .transpose()
            .map_err(wrong)?;
        Ok(WebhookEndpoint {
            id: WebhookId::from(self.id),
            organization_id,
            project_id: project_id(&self.project_id, WHAT)?,
            // It was checked when it was made, and is checked again before anything is sent there.
            url: WebhookUrl::parse(&self.url, WebhookNetwork::Any).map_err(|error| corrupt(WHAT, &error))?,
            events: events.map_err(wrong)?,
            secret: WebhookSecret::parse(&secret).map_err(|error| corrupt(WHAT, &error))?,
            created_at: timestamp(self.created_at),
            health: DeliveryHealth {
                failures: u32::try_from(self.failures).unwrap_or_default(),
                failing_since: time(self.failing_since),
                cools_down_until: time(self.cools_down_until),
                disabled: time(self.disabled_at).zip(reason),
            },
        })
    }
}
