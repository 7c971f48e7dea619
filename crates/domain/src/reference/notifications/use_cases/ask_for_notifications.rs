//! Asks for every member of an organization to be told something.

use uuid::Uuid;

use crate::contract::{BoundedText, EnvelopeFactory, OrganizationId, ProjectId, Tenant};
use crate::reference::notifications::{CreateNotification, NotificationKind};
use crate::reference::{ReferencePorts, UseCaseError};
use crate::tasks::{FannedOut, PublishError, QueuePublisher, QueuePublisherExt, TaskContext, TaskOptions};

/// How many members are asked for at once.
const AT_ONCE: u32 = 250;

/// What they are told.
pub(super) struct Told<'a> {
    pub(super) organization_id: &'a OrganizationId,
    pub(super) project_id: &'a ProjectId,
    pub(super) kind: NotificationKind,
    pub(super) subject_id: Uuid,
}

/// Publishes one task for each member, under ids that come from the task's: run again, it adds nothing.
pub(super) async fn ask_for_notifications(
    ports: &ReferencePorts,
    (queue, envelopes): (&dyn QueuePublisher, &EnvelopeFactory),
    ctx: &TaskContext,
    told: &Told<'_>,
) -> Result<(), UseCaseError> {
    let tenant = Tenant::project(told.organization_id, told.project_id);
    let idempotency_key =
        BoundedText::new(told.kind.key_of(told.subject_id)).map_err(|too_long| PublishError::Invalid {
            code: "key.too_long",
            reason: too_long.to_string(),
        })?;
    let mut after = None;
    loop {
        let mut uow = ports.units.begin(&tenant, ctx.cause()).await?;
        let members = uow.memberships().list(after, AT_ONCE).await?;
        // Nothing is published while a transaction is open.
        drop(uow);
        let Some(last) = members.last().copied() else {
            return Ok(());
        };
        let tasks = members.into_iter().map(|user_id| FannedOut {
            key: user_id.to_string(),
            task: CreateNotification {
                organization_id: told.organization_id.clone(),
                project_id: told.project_id.clone(),
                user_id,
                kind: told.kind,
                subject_id: told.subject_id,
                idempotency_key: idempotency_key.clone(),
            },
            options: TaskOptions::default(),
        });
        queue.publish_from_task(envelopes, tasks.collect(), ctx).await?;
        after = Some(last);
    }
}
