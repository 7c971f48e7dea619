//! `/v1/projects`.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::projects::use_cases::{
    CreateProject, ProjectCreation, create_project, delete_project,
};
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
    name: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Deleted {
    project_id: ProjectId,
}

pub(crate) async fn create(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    body: JsonBody<Body>,
) -> Result<(StatusCode, Json<ProjectCreation>), Problem> {
    let mut required = Required::default();
    let input = CreateProject {
        name: required.field("name", body.value.name),
    };
    required.check()?;
    let request = info.context_of(Some(&caller.organization_id), body.fingerprint)?;
    let made = create_project(&state.reference, &caller, &request, input).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// 202, because what the project holds is purged afterwards.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(project_id): Path<String>,
) -> Result<(StatusCode, Json<Deleted>), Problem> {
    let project_id: ProjectId = named::id(&project_id, "project")?;
    delete_project(&state.reference, &caller, &info.context(), &project_id).await?;
    Ok((StatusCode::ACCEPTED, Json(Deleted { project_id })))
}
