//! Records how a delivery went.

use crate::contract::{Cause, Contract};
use crate::effects::WebhookError;
use crate::events::OutboxWriterExt;
use crate::reference::webhooks::{DeliverWebhook, DeliveryHealth, DisableReason, WebhookEndpointDisabled};
use crate::reference::{ReferencePorts, UseCaseError};

/// Records that the receiver took something again.
///
/// # Errors
/// The store; the webhook may then be told again, under the same id.
pub async fn record_webhook_success(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &DeliverWebhook,
) -> Result<(), UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let found = uow.webhooks().find_to_change(task.webhook_id).await?;
    // One that was disabled meanwhile stays so: somebody was told.
    if found.is_some_and(|endpoint| endpoint.health.disabled.is_none()) {
        uow.webhooks()
            .record_health(task.webhook_id, &DeliveryHealth::default())
            .await?;
        uow.commit().await?;
    }
    Ok(())
}

/// Records a failed attempt, which may let the webhook cool down, or disable it and tell of that. Answers why it is disabled, if it
/// is.
///
/// # Errors
/// The store; the attempt is then not counted against the webhook.
pub async fn record_webhook_failure(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &DeliverWebhook,
    error: &WebhookError,
) -> Result<Option<DisableReason>, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let Some(endpoint) = uow.webhooks().find_to_change(task.webhook_id).await? else {
        return Ok(None);
    };
    if let Some((_, reason)) = endpoint.health.disabled {
        return Ok(Some(reason));
    }
    let health = endpoint.health.after_failure(error, ports.now());
    uow.webhooks().record_health(endpoint.id, &health).await?;
    let reason = health.disabled.map(|(_, reason)| reason);
    if let Some(reason) = reason {
        uow.outbox()
            .write(WebhookEndpointDisabled {
                organization_id: task.organization_id.clone(),
                project_id: task.project_id.clone(),
                webhook_id: task.webhook_id,
                reason,
            })
            .await?;
    }
    uow.commit().await?;
    Ok(reason)
}
