//! Gives up an export.

use crate::contract::{EncodeError, Tenant, WorkflowKey};
use crate::events::WriteError;
use crate::reference::exports::{Export, RunExport};
use crate::reference::workflows::CancelExport;
use crate::reference::{Caller, ExportId, ReferencePorts, ReferenceUnitOfWork, Refusal, RequestContext, UseCaseError};
use crate::workflows::{WorkflowId, WorkflowInput, WorkflowOutboxExt};

/// Tells the workflow of an export that it is not wanted any more. One whose file is whole by then stays.
///
/// # Errors
/// [`Refusal::NotFound`]; the store.
pub async fn cancel_export(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    id: ExportId,
) -> Result<(), UseCaseError> {
    let tenant = Tenant::organization(&caller.organization_id);
    let mut uow = ports.units.begin(&tenant, &request.cause).await?;
    let export = uow.exports().find(id).await?;
    let export = export.ok_or(Refusal::NotFound { what: "export" })?;
    if export.state.is_final() {
        return Ok(());
    }
    tell_workflow(&mut *uow, &export).await?;
    uow.commit().await?;
    Ok(())
}

/// Asks the workflow of an export to end, with the transaction.
pub(super) async fn tell_workflow(uow: &mut dyn ReferenceUnitOfWork, export: &Export) -> Result<(), UseCaseError> {
    let key = WorkflowKey::new(export.id.to_string()).map_err(|source| {
        WriteError::from(EncodeError::Name {
            contract: RunExport::NAME.to_string(),
            source,
        })
    })?;
    let workflow = WorkflowId::new(export.tenant(), RunExport::NAME, key);
    uow.outbox().signal(&workflow, &CancelExport {}).await?;
    Ok(())
}
