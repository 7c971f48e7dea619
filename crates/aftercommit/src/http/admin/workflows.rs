//! Workflows as operators start, see, tell and end them.

use aftercommit_domain::contract::{
    Cause, Json as RawJson, OrganizationId, ProjectId, SignalName, Tenant, WorkflowKey, WorkflowName,
};
use aftercommit_domain::events::OutboxMessage;
use aftercommit_domain::failure::Classified;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::workflows::{
    SignalRequest, StopRequest, WorkflowDescription, WorkflowFilter, WorkflowId, WorkflowPage, WorkflowQuerier,
    WorkflowRequest, WorkflowRequestError, WorkflowStarter, WorkflowStatus,
};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

use crate::http::Problem;
use crate::http::admin::actor::Actor;
use crate::http::admin::orders::checked_reason;
use crate::http::admin::{Body, Query};
use crate::http::cause::RequestCause;
use crate::kit::Operations;
use crate::workflows::GET_A_SERVER;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    organization_id: Option<OrganizationId>,
    project_id: Option<ProjectId>,
    workflow: Option<WorkflowName>,
    status: Option<WorkflowStatus>,
    limit: Option<u32>,
    after: Option<String>,
}

/// Which workflow, and whose it must be.
#[derive(Deserialize)]
pub(super) struct Which {
    id: String,
    organization_id: Option<OrganizationId>,
}

#[derive(Deserialize)]
pub(super) struct ValueOf {
    #[serde(flatten)]
    which: Which,
    key: String,
}

#[derive(Deserialize)]
pub(super) struct StartBody {
    workflow: WorkflowName,
    key: String,
    payload: RawJson,
}

#[derive(Deserialize)]
pub(super) struct SignalBody {
    #[serde(flatten)]
    which: Which,
    signal: SignalName,
    payload: Value,
}

#[derive(Deserialize)]
pub(super) struct StopBody {
    #[serde(flatten)]
    which: Which,
    reason: String,
}

#[derive(Serialize)]
pub(super) struct StartedAnswer {
    /// The task that asks for it.
    request_id: MessageId,
    id: WorkflowId,
}

#[derive(Serialize)]
pub(super) struct AskedAnswer {
    request_id: MessageId,
    id: WorkflowId,
}

#[derive(Serialize)]
pub(super) struct ValueAnswer {
    value: Value,
}

pub(super) async fn list(
    State(operations): State<Operations>,
    Query(listing): Query<Listing>,
) -> Result<Json<WorkflowPage>, Problem> {
    let tenant = match (listing.organization_id, listing.project_id) {
        (None, None) => None,
        (organization, project) => Some(Tenant::from_parts(organization, project).ok_or_else(|| {
            let detail = "give the organization of the project";
            Problem::new(StatusCode::BAD_REQUEST, "tenant.organization_missing", detail)
        })?),
    };
    let filter = WorkflowFilter {
        tenant,
        name: listing.workflow,
        status: listing.status,
        limit: listing.limit,
        after: listing.after,
    };
    let page = querier(&operations)?.list(&filter).await;
    page.map(Json).map_err(|error| Problem::of(&error))
}

/// Through the outbox, so that it waits while the engine is away.
pub(super) async fn start(
    State(operations): State<Operations>,
    Actor(actor): Actor,
    RequestCause(cause): RequestCause,
    Body(body): Body<StartBody>,
) -> Result<(StatusCode, Json<StartedAnswer>), Problem> {
    let StartBody { workflow, key, payload } = body;
    if !operations.workflows.knows(&workflow) {
        let known: Vec<&str> = operations.workflows.names().map(WorkflowName::as_str).collect();
        let known = if known.is_empty() {
            "it knows none; ask one that does".to_owned()
        } else {
            format!("it knows {}", known.join(", "))
        };
        let detail = format!("this process knows no workflow {workflow}: {known}");
        return Err(Problem::new(StatusCode::NOT_FOUND, "workflow.unknown", detail));
    }
    if let Err(error) = WorkflowKey::new(key.clone()) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "workflow.key",
            error.to_string(),
        ));
    }
    let envelopes = operations.kit.envelopes();
    let start = operations
        .workflows
        .read((&workflow, &key), &payload, envelopes, &cause);
    let start = start.map_err(|error| Problem::of(&error))?;
    let (id, request_id) = (start.id.clone(), start.request_id());
    tracing::info!(workflow = %id, %request_id, %actor, "a workflow is asked for");
    write(&operations, id.tenant(), &cause, &WorkflowRequest::Start(start)).await?;
    Ok((StatusCode::ACCEPTED, Json(StartedAnswer { request_id, id })))
}

async fn write(
    operations: &Operations,
    tenant: &Tenant,
    cause: &Cause,
    request: &WorkflowRequest,
) -> Result<(), Problem> {
    let of = |error: &dyn Classified| Problem::of(error);
    let task = request
        .to_task(operations.kit.envelopes(), cause)
        .map_err(|error| of(&error))?;
    let mut unit = operations.kit.begin(tenant, cause).await.map_err(|error| of(&error))?;
    let written = unit.outbox().append(vec![OutboxMessage::Task(task)]).await;
    written.map_err(|error| of(&error))?;
    unit.commit().await.map_err(|error| of(&error))
}

pub(super) async fn describe(
    State(operations): State<Operations>,
    Query(which): Query<Which>,
) -> Result<Json<WorkflowDescription>, Problem> {
    let id = which.workflow()?;
    let described = querier(&operations)?.describe(&id).await;
    let described = described.map_err(|error| Problem::of(&error))?;
    described.map(Json).ok_or_else(|| not_found(&id))
}

pub(super) async fn query(
    State(operations): State<Operations>,
    Query(ValueOf { which, key }): Query<ValueOf>,
) -> Result<Json<ValueAnswer>, Problem> {
    let id = which.workflow()?;
    let querier = querier(&operations)?;
    let value = querier.query(&id, &key).await.map_err(|error| Problem::of(&error))?;
    if let Some(value) = value {
        return Ok(Json(ValueAnswer { value }));
    }
    let described = querier.describe(&id).await.map_err(|error| Problem::of(&error))?;
    described.ok_or_else(|| not_found(&id))?;
    let detail = format!("{id} has published nothing under {key}");
    Err(Problem::new(StatusCode::NOT_FOUND, "workflow.unpublished", detail))
}

pub(super) async fn signal(
    State(operations): State<Operations>,
    Actor(actor): Actor,
    Body(body): Body<SignalBody>,
) -> Result<(StatusCode, Json<AskedAnswer>), Problem> {
    let id = body.which.workflow()?;
    let starter = starter(&operations)?;
    let request_id = operations.kit.envelopes().new_id();
    let request = SignalRequest {
        id: id.clone(),
        request_id,
        name: body.signal,
        payload: body.payload,
    };
    tracing::info!(workflow = %id, %request_id, %actor, signal = %request.name, "a workflow is told something");
    asked(id, request_id, starter.signal(request).await)
}

pub(super) async fn cancel(
    State(operations): State<Operations>,
    Actor(actor): Actor,
    Body(body): Body<StopBody>,
) -> Result<(StatusCode, Json<AskedAnswer>), Problem> {
    let starter = starter(&operations)?;
    let request = body.request(operations.kit.envelopes().new_id())?;
    let (id, request_id) = (request.id.clone(), request.request_id);
    tracing::info!(workflow = %id, %request_id, %actor, reason = %request.reason, "a workflow is to be cancelled");
    asked(id, request_id, starter.cancel(request).await)
}

pub(super) async fn terminate(
    State(operations): State<Operations>,
    Actor(actor): Actor,
    Body(body): Body<StopBody>,
) -> Result<(StatusCode, Json<AskedAnswer>), Problem> {
    let starter = starter(&operations)?;
    let request = body.request(operations.kit.envelopes().new_id())?;
    let (id, request_id) = (request.id.clone(), request.request_id);
    tracing::warn!(workflow = %id, %request_id, %actor, reason = %request.reason, "a workflow is terminated");
    asked(id, request_id, starter.terminate(request).await)
}

fn asked(
    id: WorkflowId,
    request_id: MessageId,
    asked: Result<(), WorkflowRequestError>,
) -> Result<(StatusCode, Json<AskedAnswer>), Problem> {
    match asked {
        Ok(()) => Ok((StatusCode::ACCEPTED, Json(AskedAnswer { request_id, id }))),
        Err(error @ WorkflowRequestError::NotRunning { .. }) => {
            Err(Problem::new(StatusCode::NOT_FOUND, error.code(), error.to_string()))
        }
        Err(error @ WorkflowRequestError::Over { .. }) => {
            Err(Problem::new(StatusCode::CONFLICT, error.code(), error.to_string()))
        }
        Err(error) => Err(Problem::of(&error)),
    }
}

impl Which {
    fn workflow(&self) -> Result<WorkflowId, Problem> {
        let id: WorkflowId = self
            .id
            .parse()
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "id.invalid", format!("{error}")))?;
        if let Some(organization) = &self.organization_id
            && id.tenant().organization_id() != Some(organization)
        {
            let detail = format!("{id} is not of the organization {organization}");
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "tenant.mismatch",
                detail,
            ));
        }
        Ok(id)
    }
}

impl StopBody {
    fn request(&self, request_id: MessageId) -> Result<StopRequest, Problem> {
        Ok(StopRequest {
            id: self.which.workflow()?,
            request_id,
            reason: checked_reason(&self.reason)?,
        })
    }
}

fn not_found(id: &WorkflowId) -> Problem {
    let detail = format!("no workflow has the id {id}; one that was asked for may wait for its engine");
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}

fn starter(operations: &Operations) -> Result<Arc<dyn WorkflowStarter>, Problem> {
    operations.kit.workflow_starter().ok_or_else(no_engine)
}

fn querier(operations: &Operations) -> Result<Arc<dyn WorkflowQuerier>, Problem> {
    operations.kit.workflow_querier().ok_or_else(no_engine)
}

fn no_engine() -> Problem {
    let detail = format!("this process has no workflow engine; {GET_A_SERVER}");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "workflow.no_engine", detail)
}
