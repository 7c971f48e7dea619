//! Makes a webhook.

use serde::{Deserialize, Serialize};

use crate::contract::ProjectId;
use crate::effects::{ForbiddenUrl, WebhookNetwork, WebhookSecret, WebhookUrl};
use crate::events::OutboxWriterExt;
use crate::reference::input::Checked;
use crate::reference::projects::Project;
use crate::reference::requests::{Answers, Claim};
use crate::reference::webhooks::{
    DeliveryHealth, MAX_ENDPOINTS, WebhookEndpoint, WebhookEndpointCreated, WebhookEventKind,
};
use crate::reference::{Caller, InvalidInput, ReferencePorts, Refusal, RequestContext, UseCaseError, WebhookId, Wrong};

/// What is asked for.
#[derive(Clone)]
pub struct CreateWebhook {
    /// The project it is told of.
    pub project_id: ProjectId,
    /// Where it is.
    pub url: String,
    /// What it wants to be told, by the names of the events.
    pub events: Vec<String>,
}

/// What was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookCreation {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// What it verifies with, in clear: shown this once.
    pub secret: String,
}

/// Makes a webhook of a project.
///
/// # Errors
/// Invalid input naming the fields, among it `url.forbidden`; [`Refusal::NotFound`] for a project the organization does not
/// have; [`Refusal::TooManyWebhooks`]; a used `Idempotency-Key`; the store.
pub async fn create_webhook(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    input: CreateWebhook,
) -> Result<WebhookCreation, UseCaseError> {
    let (url, events) = input.checked(ports.settings.webhook_network)?;
    let project_id = input.project_id;
    let tenant = caller.tenant_of(&project_id);
    let mut uow = ports.units.begin(&tenant, &request.cause).await?;
    let answers = match Answers::claim(ports, &mut *uow, request).await? {
        Claim::First(answers) => answers,
        Claim::Repeated(answer) => return Ok(answer),
    };
    let project = uow.projects().find(&project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Err(Refusal::NotFound { what: "project" }.into());
    }
    let limit = u32::try_from(MAX_ENDPOINTS).unwrap_or(u32::MAX);
    if uow.webhooks().of_project(&project_id, limit).await?.len() >= MAX_ENDPOINTS {
        return Err(Refusal::TooManyWebhooks.into());
    }

    let endpoint = WebhookEndpoint {
        id: WebhookId::new(&*ports.ids),
        organization_id: caller.organization_id.clone(),
        project_id: project_id.clone(),
        url,
        events,
        secret: WebhookSecret::generate(&*ports.randomness),
        created_at: ports.now(),
        health: DeliveryHealth::default(),
    };
    uow.webhooks().insert(&endpoint).await?;
    uow.outbox()
        .write(WebhookEndpointCreated {
            organization_id: caller.organization_id.clone(),
            project_id,
            webhook_id: endpoint.id,
        })
        .await?;

    let answer = WebhookCreation {
        webhook_id: endpoint.id,
        secret: endpoint.secret.expose().to_owned(),
    };
    answers.keep(&mut *uow, &answer).await?;
    uow.commit().await?;
    Ok(answer)
}

impl CreateWebhook {
    fn checked(&self, network: WebhookNetwork) -> Result<(WebhookUrl, Vec<WebhookEventKind>), InvalidInput> {
        let mut checked = Checked::default();
        let url = match WebhookUrl::parse(&self.url, network) {
            Ok(url) => Some(url),
            Err(forbidden) => {
                checked.problem("url", ForbiddenUrl::CODE, forbidden.to_string());
                None
            }
        };
        let events = self.checked_events(&mut checked);
        url.zip(events).ok_or_else(|| checked.into_invalid())
    }

    fn checked_events(&self, checked: &mut Checked) -> Option<Vec<WebhookEventKind>> {
        let size = match self.events.len() {
            0 => Err(Wrong::new("empty", "must name at least one event")),
            n if n > WebhookEventKind::ALL.len() => Err(Wrong::new("too_many", "names more events than there are")),
            _ => Ok(()),
        };
        checked.field("events", size)?;
        let kinds = self.events.iter().enumerate();
        let kinds: Vec<_> = kinds
            .map(|(index, name)| checked.field(&format!("events[{index}]"), name.parse()))
            .collect();
        let mut kinds: Vec<WebhookEventKind> = kinds.into_iter().collect::<Option<_>>()?;
        kinds.sort_unstable();
        kinds.dedup();
        Some(kinds)
    }
}
