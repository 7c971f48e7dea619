//! Decides whether a webhook is still to be told of something, and with which words.

use crate::contract::{Cause, Contract};
use crate::effects::WebhookRequest;
use crate::reference::webhooks::{DeliverWebhook, WebhookEvent, WebhookEventKind, webhook_body};
use crate::reference::{Progress, ReferencePorts, ReferenceUnitOfWork, UseCaseError};
use crate::unit_of_work::StoreError;

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedWebhook {
    /// What, and where to.
    pub request: WebhookRequest,
    /// Whether the last attempt failed, so that a success is to be recorded.
    pub is_failing: bool,
}

/// Looks the webhook and what it is told of up again. Not wanted when either is gone or the webhook is disabled; not yet
/// while it cools down.
///
/// # Errors
/// The store.
pub async fn prepare_webhook(
    ports: &ReferencePorts,
    cause: &Cause,
    task: &DeliverWebhook,
) -> Result<Progress<PreparedWebhook>, UseCaseError> {
    let mut uow = ports.units.begin(&task.tenant(), cause).await?;
    let now = ports.now();
    let Some(endpoint) = uow.webhooks().find(task.webhook_id).await? else {
        return Ok(Progress::NotWanted("the webhook was deleted"));
    };
    if endpoint.health.disabled.is_some() {
        return Ok(Progress::NotWanted("the webhook is disabled"));
    }
    if let Some(reason) = why_not(&mut *uow, task).await? {
        return Ok(Progress::NotWanted(reason));
    }
    if let Some(left) = endpoint.health.cool_down_at(now) {
        return Ok(Progress::NotYet(left));
    }
    let body = webhook_body(task).map_err(|error| StoreError::Corrupt {
        what: "a webhook's body",
        reason: error.to_string(),
    })?;
    Ok(Progress::Done(PreparedWebhook {
        is_failing: !endpoint.health.is_good(),
        request: WebhookRequest {
            url: endpoint.url,
            secret: endpoint.secret,
            body,
            sent_at: now,
        },
    }))
}

/// Why what it is told of is nothing to tell of any more.
async fn why_not(uow: &mut dyn ReferenceUnitOfWork, task: &DeliverWebhook) -> Result<Option<&'static str>, StoreError> {
    let Some(project) = uow.projects().find(&task.project_id).await? else {
        return Ok(Some("the project is gone"));
    };
    if !project.is_live() && task.event.kind() != WebhookEventKind::ProjectDeleted {
        return Ok(Some("the project was deleted"));
    }
    let (is_there, reason) = match task.event {
        WebhookEvent::MemberJoined { user_id, .. } => {
            (uow.memberships().find(user_id).await?.is_some(), "the member is gone")
        }
        WebhookEvent::InvitationExpired { invitation_id } => {
            let invitation = uow.invitations().find(invitation_id).await?;
            (invitation.is_some(), "the invitation is gone")
        }
        WebhookEvent::ApiKeyCreated { api_key_id } | WebhookEvent::ApiKeyRevoked { api_key_id } => {
            (uow.api_keys().find(api_key_id).await?.is_some(), "the API key is gone")
        }
        WebhookEvent::IncidentOpened { incident_id } | WebhookEvent::IncidentClosed { incident_id } => (
            uow.incidents().find(incident_id).await?.is_some(),
            "the incident is gone",
        ),
        WebhookEvent::ExportCompleted { export_id } | WebhookEvent::ExportFailed { export_id } => {
            (uow.exports().find(export_id).await?.is_some(), "the export is gone")
        }
        WebhookEvent::FirstRecordReceived {} | WebhookEvent::ProjectDeleted {} => return Ok(None),
    };
    Ok((!is_there).then_some(reason))
}
