//! Makes an API key stop working.

use crate::contract::Tenant;
use crate::events::OutboxWriterExt;
use crate::reference::identity::ApiKeyRevoked;
use crate::reference::{ApiKeyId, Caller, ReferencePorts, Refusal, RequestContext, UseCaseError};

/// Revokes a key of the caller's organization, at once. Revoking it again changes nothing.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::LastApiKey`]; the store.
pub async fn revoke_api_key(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    id: ApiKeyId,
) -> Result<(), UseCaseError> {
    let tenant = Tenant::organization(&caller.organization_id);
    let mut uow = ports.units.begin(&tenant, &request.cause).await?;
    let key = uow
        .api_keys()
        .find(id)
        .await?
        .ok_or(Refusal::NotFound { what: "API key" })?;
    if key.revoked_at.is_some() {
        return Ok(());
    }
    if uow.api_keys().count_working().await? <= 1 {
        return Err(Refusal::LastApiKey.into());
    }
    if uow.api_keys().revoke(id, ports.now()).await? {
        uow.outbox()
            .write(ApiKeyRevoked {
                organization_id: key.organization_id,
                project_id: key.project_id,
                api_key_id: id,
            })
            .await?;
        uow.commit().await?;
    }
    Ok(())
}
