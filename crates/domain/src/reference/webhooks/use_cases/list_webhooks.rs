//! Shows the webhooks of a project.

use crate::contract::{Cause, ProjectId};
use crate::reference::webhooks::WebhookEndpoint;
use crate::reference::{Caller, ReferencePorts, Refusal, UseCaseError};

/// More than a project may have, because two that are made at the same time do not see each other.
pub(super) const ALL: u32 = 100;

/// The webhooks of a project, the oldest first; also of one that was deleted.
///
/// # Errors
/// [`Refusal::NotFound`] for a project the organization never had; the store.
pub async fn list_webhooks(
    ports: &ReferencePorts,
    caller: &Caller,
    cause: &Cause,
    project_id: &ProjectId,
) -> Result<Vec<WebhookEndpoint>, UseCaseError> {
    let mut uow = ports.units.begin(&caller.tenant_of(project_id), cause).await?;
    if uow.projects().find(project_id).await?.is_none() {
        return Err(Refusal::NotFound { what: "project" }.into());
    }
    Ok(uow.webhooks().of_project(project_id, ALL).await?)
}
