//! Asks for every open incident to be checked.

use crate::contract::{EnvelopeFactory, Tenant};
use crate::reference::incidents::CheckIncident;
use crate::reference::{Progress, ReferencePorts, UseCaseError};
use crate::tasks::{FannedOut, QueuePublisher, QueuePublisherExt, TaskContext, TaskOptions};

/// How many are asked for at once.
const AT_ONCE: u32 = 250;

/// Publishes one check for each open incident of all organizations, under ids that come from this task's.
///
/// # Errors
/// The store; the queue. What was published stays so.
pub async fn sweep_open_incidents(
    ports: &ReferencePorts,
    (queue, envelopes): (&dyn QueuePublisher, &EnvelopeFactory),
    ctx: &TaskContext,
) -> Result<Progress, UseCaseError> {
    let mut after = None;
    loop {
        let mut uow = ports.units.begin(&Tenant::System, ctx.cause()).await?;
        let open = uow.incidents().list_open(after, AT_ONCE).await?;
        // Nothing is published while a transaction is open.
        drop(uow);
        let Some(last) = open.last().map(|incident| incident.id) else {
            return Ok(match after {
                Some(_) => Progress::Done(()),
                None => Progress::NotWanted("no incident is open"),
            });
        };
        let checks = open.into_iter().map(|incident| FannedOut {
            key: incident.id.to_string(),
            task: CheckIncident {
                organization_id: incident.organization_id,
                project_id: incident.project_id,
                incident_id: incident.id,
            },
            options: TaskOptions::default(),
        });
        queue.publish_from_task(envelopes, checks.collect(), ctx).await?;
        after = Some(last);
    }
}
