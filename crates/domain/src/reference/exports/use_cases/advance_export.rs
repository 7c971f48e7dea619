//! Records how far an export is.

use crate::contract::{Cause, Tenant};
use crate::events::OutboxWriterExt as _;
use crate::reference::exports::{Export, ExportCancelled, ExportCompleted, ExportFailed, ExportState};
use crate::reference::projects::Project;
use crate::reference::{ExportId, Progress, ReferencePorts, ReferenceUnitOfWork, UseCaseError};

/// Records how far an export is, and answers it as it is then. Safe to repeat: an export that is over stays as it ended, and
/// recording the same end again is done.
///
/// [`Progress::NotWanted`] when it is gone, ended otherwise, or its project was deleted and there is still something to be
/// made of it.
///
/// # Errors
/// The store.
pub async fn advance_export(
    ports: &ReferencePorts,
    cause: &Cause,
    tenant: &Tenant,
    id: ExportId,
    state: ExportState,
) -> Result<Progress<Export>, UseCaseError> {
    let mut uow = ports.units.begin(tenant, cause).await?;
    let Some(export) = uow.exports().find(id).await? else {
        return Ok(Progress::NotWanted("the export is gone"));
    };
    if !state.is_final() || matches!(state, ExportState::Ready { .. }) {
        let project = uow.projects().find(&export.project_id).await?;
        if !project.as_ref().is_some_and(Project::is_live) {
            return Ok(Progress::NotWanted("the project is gone"));
        }
    }
    if uow.exports().advance(id, &state).await? {
        tell(&mut *uow, &export, &state).await?;
        uow.commit().await?;
        return Ok(Progress::Done(Export { state, ..export }));
    }
    // What ended in the same way ended by an attempt of this step whose answer was lost; only its time may differ.
    if export.state.as_str() == state.as_str() {
        return Ok(Progress::Done(export));
    }
    Ok(Progress::NotWanted("the export is over"))
}

/// Writes the event of an end, with the end.
async fn tell(uow: &mut dyn ReferenceUnitOfWork, export: &Export, state: &ExportState) -> Result<(), UseCaseError> {
    macro_rules! of {
        ($event:ident) => {
            $event {
                organization_id: export.organization_id.clone(),
                project_id: export.project_id.clone(),
                export_id: export.id,
            }
        };
    }
    match state {
        ExportState::Requested | ExportState::Running { .. } => {}
        ExportState::Ready { .. } => uow.outbox().write(of!(ExportCompleted)).await.map(drop)?,
        ExportState::Failed { .. } => uow.outbox().write(of!(ExportFailed)).await.map(drop)?,
        ExportState::Cancelled { .. } => uow.outbox().write(of!(ExportCancelled)).await.map(drop)?,
    }
    Ok(())
}
