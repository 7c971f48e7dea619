//! Deletes a webhook.

use crate::contract::ProjectId;
use crate::events::OutboxWriterExt;
use crate::reference::webhooks::WebhookEndpointDeleted;
use crate::reference::{Caller, ReferencePorts, Refusal, RequestContext, UseCaseError, WebhookId};

/// Deletes a webhook with its secret. What is on its way to it is skipped.
///
/// # Errors
/// [`Refusal::NotFound`] when the project has none or it was deleted before; the store.
pub async fn delete_webhook(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    project_id: &ProjectId,
    id: WebhookId,
) -> Result<(), UseCaseError> {
    let mut uow = ports.units.begin(&caller.tenant_of(project_id), &request.cause).await?;
    if !uow.webhooks().delete(project_id, id).await? {
        return Err(Refusal::NotFound { what: "webhook" }.into());
    }
    uow.outbox()
        .write(WebhookEndpointDeleted {
            organization_id: caller.organization_id.clone(),
            project_id: project_id.clone(),
            webhook_id: id,
        })
        .await?;
    uow.commit().await?;
    Ok(())
}
