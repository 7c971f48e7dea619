//! `/v1/organizations`.

use aftercommit_domain::reference::organizations::use_cases::{
    CreateOrganization, OrganizationCreation, create_organization,
};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::json_body::{JsonBody, Required};
use crate::request::RequestInfo;
use crate::{ApiState, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    name: Option<String>,
    owner_email: Option<String>,
}

/// Sign-up, open to everyone.
pub(crate) async fn create(
    State(state): State<ApiState>,
    info: RequestInfo,
    body: JsonBody<Body>,
) -> Result<(StatusCode, Json<OrganizationCreation>), Problem> {
    let mut required = Required::default();
    let input = CreateOrganization {
        name: required.field("name", body.value.name),
        owner_email: required.field("owner_email", body.value.owner_email),
    };
    required.check()?;
    let request = info.context_of(None, body.fingerprint)?;
    let made = create_organization(&state.reference, &request, input).await?;
    Ok((StatusCode::CREATED, Json(made)))
}
