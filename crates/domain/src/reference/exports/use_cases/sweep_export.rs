//! Removes what is left over of an export that has ended.

use crate::contract::{Cause, Contract};
use crate::effects::{ObjectStorage, ObjectStorageError};
use crate::reference::exports::{Export, ExportState, SweepExport};
use crate::reference::{Progress, ReferencePorts, UseCaseError};
use crate::unit_of_work::{CommitError, StoreError};

/// What was asked of an export's file was not done, or not all of it. Doing it again is safe.
#[derive(Debug, thiserror::Error)]
pub enum ExportFileError {
    /// The product's store, or its rules.
    #[error(transparent)]
    UseCase(#[from] UseCaseError),
    /// The object storage.
    #[error(transparent)]
    Storage(#[from] ObjectStorageError),
}

impl From<StoreError> for ExportFileError {
    fn from(error: StoreError) -> Self {
        Self::UseCase(error.into())
    }
}

impl From<CommitError> for ExportFileError {
    fn from(error: CommitError) -> Self {
        Self::UseCase(error.into())
    }
}

/// Removes the parts of an export that is over, and its object unless that is its file. This is the sweep for what a worker
/// puts that was taken for dead: the workflow of the export removes everything at its end, but cannot know of what comes later.
///
/// # Errors
/// The stores; nothing was recorded, so it is done again.
pub async fn sweep_export(
    ports: &ReferencePorts,
    storage: &dyn ObjectStorage,
    cause: &Cause,
    task: &SweepExport,
) -> Result<Progress, ExportFileError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let export = uow.exports().find(task.export_id).await?;
    // The storage is not asked while a transaction is open.
    drop(uow);
    let Some(export) = export else {
        return Ok(Progress::NotWanted("the export was purged"));
    };
    if !export.state.is_final() {
        return Ok(Progress::NotWanted("the export is not over"));
    }
    let keeps_file = matches!(export.state, ExportState::Ready { .. });
    remove(storage, &export, keeps_file).await?;
    Ok(Progress::Done(()))
}

/// Removes the parts of an export, and its object unless that is kept.
pub(super) async fn remove(
    storage: &dyn ObjectStorage,
    export: &Export,
    keeps_file: bool,
) -> Result<(), ObjectStorageError> {
    let file = export.file().map_err(|invalid| ObjectStorageError::Refused {
        reason: invalid.to_string(),
    })?;
    storage.abort(&file).await?;
    if !keeps_file {
        storage.delete(&file).await?;
    }
    Ok(())
}
