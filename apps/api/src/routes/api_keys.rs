//! `/v1/api-keys`.

use aftercommit_domain::reference::ApiKeyId;
use aftercommit_domain::reference::identity::use_cases::{
    ApiKeyCreation, CreateApiKey, create_api_key, revoke_api_key,
};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::named;
use crate::authenticated::Authenticated;
use crate::json_body::JsonBody;
use crate::request::RequestInfo;
use crate::{ApiState, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    project_id: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Revoked {
    api_key_id: ApiKeyId,
}

pub(crate) async fn create(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    body: JsonBody<Body>,
) -> Result<(StatusCode, Json<ApiKeyCreation>), Problem> {
    let input = CreateApiKey {
        project_id: named::project(body.value.project_id)?,
    };
    let request = info.context_of(Some(&caller.organization_id), body.fingerprint)?;
    let made = create_api_key(&state.reference, &caller, &request, input).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

pub(crate) async fn revoke(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(api_key_id): Path<String>,
) -> Result<Json<Revoked>, Problem> {
    let api_key_id = named::id(&api_key_id, "API key")?;
    revoke_api_key(&state.reference, &caller, &info.context(), api_key_id).await?;
    Ok(Json(Revoked { api_key_id }))
}
