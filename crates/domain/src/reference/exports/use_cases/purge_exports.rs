//! Removes the exports of a deleted project.

use std::time::Duration;

use crate::contract::{Cause, Contract};
use crate::effects::ObjectStorage;
use crate::reference::exports::use_cases::advance_export;
use crate::reference::exports::use_cases::cancel_export::tell_workflow;
use crate::reference::exports::use_cases::sweep_export::{ExportFileError, remove};
use crate::reference::exports::{EXPORT_SETTLED_AFTER, Export, ExportState, PurgeExports};
use crate::reference::projects::Project;
use crate::reference::{ExportId, Progress, ReferencePorts};
use crate::time::after;

/// How many exports one call looks at.
const AT_ONCE: u32 = 20;

/// How far a purge is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgedExports {
    /// The last export that was looked at, from which the next call goes on; `None` when that were all.
    pub next: Option<ExportId>,
    /// How long to wait until every export of the call can be forgotten; `None` when all were.
    pub wait: Option<Duration>,
}

/// Cancels the exports that are not over, removes files and parts, and forgets an export when no worker can put a part of it
/// any more. Looks at a part of the exports, those `after`; safe to repeat.
///
/// # Errors
/// The stores; what was removed stays removed.
pub async fn purge_exports(
    ports: &ReferencePorts,
    storage: &dyn ObjectStorage,
    cause: &Cause,
    task: &PurgeExports,
    from: Option<ExportId>,
) -> Result<Progress<PurgedExports>, ExportFileError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let project = uow.projects().find(&task.project_id).await?;
    if project.as_ref().is_some_and(Project::is_live) {
        return Ok(Progress::NotWanted("the project is not deleted"));
    }
    let exports = uow.exports().of_project(&task.project_id, from, AT_ONCE).await?;
    // The storage is not asked while a transaction is open.
    drop(uow);
    let is_more = exports.len() >= AT_ONCE as usize;
    let next = exports.last().map(|export| export.id).filter(|_| is_more);
    let mut wait: Option<Duration> = None;
    for export in &exports {
        let left = purge(ports, storage, cause, task, export).await?;
        wait = wait.max(left);
    }
    Ok(Progress::Done(PurgedExports { next, wait }))
}

/// How long one cannot be forgotten yet; `None` when it was.
async fn purge(
    ports: &ReferencePorts,
    storage: &dyn ObjectStorage,
    cause: &Cause,
    task: &PurgeExports,
    export: &Export,
) -> Result<Option<Duration>, ExportFileError> {
    let tenant = task.tenant();
    let (now, ended_at) = (ports.now(), export.state.columns().ended_at);
    let Some(ended_at) = ended_at else {
        // The workflow is told, so that it does not collect what nobody wants; one that never began finds the row.
        let mut uow = ports.units.begin(&tenant, cause).await?;
        tell_workflow(&mut *uow, export).await?;
        uow.commit().await?;
        let _recorded = advance_export(ports, cause, &tenant, export.id, ExportState::Cancelled { at: now }).await?;
        remove(storage, export, false).await?;
        return Ok(Some(EXPORT_SETTLED_AFTER));
    };
    remove(storage, export, false).await?;
    let settled = after(ended_at, EXPORT_SETTLED_AFTER);
    if let Ok(left) = (settled - now).to_std()
        && !left.is_zero()
    {
        return Ok(Some(left));
    }
    let mut uow = ports.units.begin(&tenant, cause).await?;
    uow.exports().remove(export.id).await?;
    uow.commit().await?;
    Ok(None)
}
