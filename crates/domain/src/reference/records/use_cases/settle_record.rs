//! Tells that a record has settled.

use crate::contract::{Contract, EnvelopeFactory};
use crate::events::{EventsPublisher, EventsPublisherExt};
use crate::reference::projects::Project;
use crate::reference::records::{RecordSettled, SettleRecord};
use crate::reference::{Progress, ReferencePorts, UseCaseError};
use crate::tasks::TaskContext;

/// Publishes the event and does nothing else: what follows from it is for the routes. Run again, it publishes the same event.
///
/// # Errors
/// The store; the queue.
pub async fn settle_record(
    ports: &ReferencePorts,
    (events, envelopes): (&dyn EventsPublisher, &EnvelopeFactory),
    ctx: &TaskContext,
    task: &SettleRecord,
) -> Result<Progress, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), ctx.cause()).await?;
    let project = uow.projects().find(&task.project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Ok(Progress::NotWanted("the project is gone"));
    }
    if uow.records().find(&task.project_id, task.record_id).await?.is_none() {
        return Ok(Progress::NotWanted("the record is gone"));
    }
    // Nothing is published while a transaction is open.
    drop(uow);
    let event = RecordSettled {
        organization_id: task.organization_id.clone(),
        project_id: task.project_id.clone(),
        record_id: task.record_id,
    };
    let key = task.record_id.to_string();
    events.publish_from_task(envelopes, event, &key, ctx).await?;
    Ok(Progress::Done(()))
}
