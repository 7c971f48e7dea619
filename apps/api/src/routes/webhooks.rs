//! `/v1/projects/{project_id}/webhooks`.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::WebhookId;
use aftercommit_domain::reference::webhooks::use_cases::{
    CreateWebhook, WebhookCreation, create_webhook, delete_webhook, list_webhooks,
};
use aftercommit_domain::reference::webhooks::{DisableReason, EndpointState, WebhookEndpoint, WebhookEventKind};
use aftercommit_domain::time::Timestamp;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::named;
use crate::authenticated::Authenticated;
use crate::json_body::{JsonBody, Required};
use crate::request::RequestInfo;
use crate::{ApiState, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    url: Option<String>,
    events: Option<Vec<String>>,
}

#[derive(Serialize)]
pub(crate) struct Webhooks {
    /// The oldest first.
    webhooks: Vec<Webhook>,
}

#[derive(Serialize)]
struct Webhook {
    webhook_id: WebhookId,
    url: String,
    events: Vec<&'static str>,
    created_at: Timestamp,
    state: &'static str,
    /// Attempts that failed since the last one that was taken.
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cools_down_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<DisableReason>,
}

#[derive(Serialize)]
pub(crate) struct Deleted {
    webhook_id: WebhookId,
}

/// The answer shows the secret, this once.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(project_id): Path<String>,
    body: JsonBody<Body>,
) -> Result<(StatusCode, Json<WebhookCreation>), Problem> {
    let mut required = Required::default();
    let (url, events) = (
        required.field("url", body.value.url),
        required.field("events", body.value.events),
    );
    required.check()?;
    let input = CreateWebhook {
        project_id: named::id(&project_id, "project")?,
        url,
        events,
    };
    let request = info.context_of(Some(&caller.organization_id), body.fingerprint)?;
    let made = create_webhook(&state.reference, &caller, &request, input).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

pub(crate) async fn list(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(project_id): Path<String>,
) -> Result<Json<Webhooks>, Problem> {
    let project_id: ProjectId = named::id(&project_id, "project")?;
    let found = list_webhooks(&state.reference, &caller, &info.context().cause, &project_id).await?;
    let now = state.reference.now();
    let shown = found.into_iter().map(|endpoint| Webhook::at(now, endpoint));
    Ok(Json(Webhooks {
        webhooks: shown.collect(),
    }))
}

pub(crate) async fn delete(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path((project_id, webhook_id)): Path<(String, String)>,
) -> Result<Json<Deleted>, Problem> {
    let project_id: ProjectId = named::id(&project_id, "project")?;
    let webhook_id = named::id(&webhook_id, "webhook")?;
    delete_webhook(&state.reference, &caller, &info.context(), &project_id, webhook_id).await?;
    Ok(Json(Deleted { webhook_id }))
}

impl Webhook {
    fn at(now: Timestamp, endpoint: WebhookEndpoint) -> Self {
        let (state, cools_down_until, disabled) = match endpoint.state_at(now) {
            EndpointState::Active => ("active", None, None),
            EndpointState::CoolingDown(until) => ("cooling_down", Some(until), None),
            EndpointState::Disabled(at, reason) => ("disabled", None, Some((at, reason))),
        };
        Self {
            webhook_id: endpoint.id,
            url: endpoint.url.as_str().to_owned(),
            events: endpoint.events.into_iter().map(WebhookEventKind::as_str).collect(),
            created_at: endpoint.created_at,
            state,
            failures: endpoint.health.failures,
            failing_since: endpoint.health.failing_since,
            cools_down_until,
            disabled_at: disabled.map(|(at, _)| at),
            disabled_reason: disabled.map(|(_, reason)| reason),
        }
    }
}
