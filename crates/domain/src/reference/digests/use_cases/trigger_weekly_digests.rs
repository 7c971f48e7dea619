//! Asks for the week of every project.

use crate::contract::{EnvelopeFactory, Tenant};
use crate::reference::digests::RunDigest;
use crate::reference::{Progress, ReferencePorts, UseCaseError};
use crate::tasks::{FannedOut, QueuePublisher, QueuePublisherExt, TaskContext, TaskOptions};
use crate::time::Timestamp;

/// How many projects are asked for at once.
const AT_ONCE: u32 = 250;

/// Publishes one task for each project of all organizations, under ids that come from this task's. `slot` is the end of the
/// week: the slot of the tick, and never the time at which it happens to run.
///
/// # Errors
/// The store; the queue. What was published stays so.
pub async fn trigger_weekly_digests(
    ports: &ReferencePorts,
    (queue, envelopes): (&dyn QueuePublisher, &EnvelopeFactory),
    ctx: &TaskContext,
    slot: Timestamp,
) -> Result<Progress, UseCaseError> {
    let mut after = None;
    loop {
        let mut uow = ports.units.begin(&Tenant::System, ctx.cause()).await?;
        let projects = uow.projects().list_live(after.clone(), AT_ONCE).await?;
        // Nothing is published while a transaction is open.
        drop(uow);
        let Some(last) = projects.last().cloned() else {
            return Ok(match after {
                Some(_) => Progress::Done(()),
                None => Progress::NotWanted("there is no project"),
            });
        };
        let runs = projects.into_iter().map(|(organization_id, project_id)| FannedOut {
            key: format!("{organization_id}/{project_id}"),
            task: RunDigest {
                organization_id,
                project_id,
                until: slot,
            },
            options: TaskOptions::default(),
        });
        queue.publish_from_task(envelopes, runs.collect(), ctx).await?;
        after = Some(last);
    }
}
