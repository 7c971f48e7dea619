//! Deletes a project: at once for everyone who asks for it, afterwards for what it holds.

use crate::contract::ProjectId;
use crate::events::OutboxWriterExt;
use crate::reference::projects::{Project, ProjectDeleted};
use crate::reference::{Caller, ReferencePorts, Refusal, RequestContext, UseCaseError};

/// Deletes a project; what it holds is purged afterwards.
///
/// # Errors
/// [`Refusal::NotFound`] when the caller's organization has none or it is deleted already,
/// [`Refusal::DefaultProject`]; the store.
pub async fn delete_project(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    project_id: &ProjectId,
) -> Result<(), UseCaseError> {
    let mut uow = ports.units.begin(&caller.tenant_of(project_id), &request.cause).await?;
    let project = uow
        .projects()
        .find(project_id)
        .await?
        .filter(Project::is_live)
        .ok_or(Refusal::NotFound { what: "project" })?;
    if project.is_default {
        return Err(Refusal::DefaultProject.into());
    }
    if !uow.projects().mark_deleted(project_id, ports.now()).await? {
        return Err(Refusal::NotFound { what: "project" }.into());
    }
    uow.outbox()
        .write(ProjectDeleted {
            organization_id: caller.organization_id.clone(),
            project_id: project_id.clone(),
        })
        .await?;
    uow.commit().await?;
    Ok(())
}
