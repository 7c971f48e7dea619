//! Asks for each record of a batch to be settled.

use crate::contract::{Contract, EnvelopeFactory};
use crate::reference::records::{FanOutRecords, SettleRecord};
use crate::reference::{Progress, ReferencePorts, UseCaseError};
use crate::tasks::{Coalescing, FannedOut, QueuePublisher, QueuePublisherExt, TaskContext, TaskOptions};

/// How many records are asked for at once.
const AT_ONCE: u32 = 250;

/// Publishes one debounced task for each record of the batch, under ids that come from this task's: run again, it adds nothing.
/// A record that came again meanwhile is left to the batch it came with.
///
/// # Errors
/// The store; the queue. What was published stays so.
pub async fn fan_out_records(
    ports: &ReferencePorts,
    (queue, envelopes): (&dyn QueuePublisher, &EnvelopeFactory),
    ctx: &TaskContext,
    task: &FanOutRecords,
) -> Result<Progress, UseCaseError> {
    let pace = &ports.settings.pace;
    let mut after = None;
    loop {
        let mut uow = ports.units.begin(&task.tenant(), ctx.cause()).await?;
        let records = uow
            .records()
            .of_batch(&task.project_id, &task.batch, after, AT_ONCE)
            .await?;
        // Nothing is published while a transaction is open.
        drop(uow);
        let Some(last) = records.last().copied() else {
            return Ok(match after {
                Some(_) => Progress::Done(()),
                None => Progress::NotWanted("no record of the batch is its own any more"),
            });
        };
        let settle = records.into_iter().map(|record_id| FannedOut {
            key: record_id.to_string(),
            task: SettleRecord {
                organization_id: task.organization_id.clone(),
                project_id: task.project_id.clone(),
                record_id,
            },
            options: TaskOptions::coalesced(Coalescing::debounce(
                record_id,
                pace.record_quiet,
                pace.longest_record_wait(),
            )),
        });
        queue.publish_from_task(envelopes, settle.collect(), ctx).await?;
        after = Some(last);
    }
}
