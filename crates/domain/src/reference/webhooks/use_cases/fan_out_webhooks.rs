//! Lets an event be told to every webhook that wants it.

use super::list_webhooks::ALL;
use crate::contract::{Contract, EncodeError};
use crate::events::{OutboxMessage, OutboxWriter, WriteError};
use crate::reference::projects::Project;
use crate::reference::webhooks::{DeliverWebhook, FanOutWebhooks, WebhookEventKind};
use crate::reference::{Progress, ReferencePorts, UseCaseError, WebhookId};
use crate::tasks::{Stop, TaskContext, TaskOptions};

/// Publishes one delivery for each webhook of the project that wants the event, once however often its task comes. Their ids
/// are derived from it.
///
/// # Errors
/// [`Stop::Done`] when it is done; the store.
pub async fn fan_out_webhooks(
    ports: &ReferencePorts,
    ctx: &TaskContext,
    task: &FanOutWebhooks,
) -> Result<Progress, Stop> {
    let mut uow = ports.units.begin(&task.tenant(), ctx.cause()).await?;
    ctx.claim(&mut *uow.inbox()).await?;
    let project = uow.projects().find(&task.project_id).await?;
    let kind = task.event.kind();
    // That a project was deleted is told of after it was.
    if !project.is_some_and(|project| Project::is_live(&project) || kind == WebhookEventKind::ProjectDeleted) {
        return Ok(Progress::NotWanted("the project is gone"));
    }
    let mut wanting = uow.webhooks().of_project(&task.project_id, ALL).await?;
    wanting.retain(|endpoint| endpoint.wants(kind));
    if wanting.is_empty() {
        // The ordinary case, and nothing to remember.
        return Ok(Progress::Done(()));
    }
    let deliveries: Result<Vec<_>, _> = {
        let outbox = uow.outbox();
        let ids = wanting.iter().map(|endpoint| endpoint.id);
        ids.map(|id| delivery(&*outbox, ctx, task, id)).collect()
    };
    let deliveries = deliveries.map_err(|error| UseCaseError::from(WriteError::from(error)))?;
    uow.outbox().append(deliveries).await?;
    uow.commit().await?;
    Ok(Progress::Done(()))
}

fn delivery(
    outbox: &(dyn OutboxWriter + '_),
    ctx: &TaskContext,
    task: &FanOutWebhooks,
    webhook_id: WebhookId,
) -> Result<OutboxMessage, EncodeError> {
    let id = ctx.task_id().derive(&webhook_id.to_string());
    let delivery = DeliverWebhook::of(task, webhook_id);
    let envelope = outbox
        .envelopes()
        .task(id, &delivery, &TaskOptions::default(), outbox.cause())?;
    Ok(OutboxMessage::Task(envelope))
}
