//! Adds a batch to the usage of its project.

use crate::contract::Contract;
use crate::events::OutboxWriterExt;
use crate::reference::usage::{RecordUsage, UsagePeriodUpdated, month_of};
use crate::reference::{Progress, ReferencePorts};
use crate::tasks::{Stop, TaskContext};

/// Counts the batch once, however often its task comes: adding is not repeatable, so the inbox remembers that it was done.
/// A project that was deleted meanwhile has used it all the same.
///
/// # Errors
/// [`Stop::Done`] when it is counted; the store.
pub async fn record_usage(ports: &ReferencePorts, ctx: &TaskContext, task: &RecordUsage) -> Result<Progress, Stop> {
    let mut uow = ports.units.begin(&task.tenant(), ctx.cause()).await?;
    ctx.claim(&mut *uow.inbox()).await?;
    if uow.projects().find(&task.project_id).await?.is_none() {
        return Ok(Progress::NotWanted("the project is gone"));
    }
    let month = month_of(ports.now());
    uow.usage().add_batch(&task.project_id, month, task.records).await?;
    uow.outbox()
        .write(UsagePeriodUpdated {
            organization_id: task.organization_id.clone(),
            project_id: task.project_id.clone(),
            month,
        })
        .await?;
    uow.commit().await?;
    Ok(Progress::Done(()))
}
