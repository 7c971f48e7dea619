//! `/v1/magic-links`.

use aftercommit_domain::reference::identity::use_cases::{
    MagicLinkRequested, RequestMagicLink, SignIn, follow_magic_link, request_magic_link,
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
    email: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Following {
    token: Option<String>,
}

/// Open, and always the same answer, so that nobody learns who is known.
pub(crate) async fn request(
    State(state): State<ApiState>,
    info: RequestInfo,
    body: JsonBody<Body>,
) -> Result<(StatusCode, Json<MagicLinkRequested>), Problem> {
    let mut required = Required::default();
    let input = RequestMagicLink {
        email: required.field("email", body.value.email),
    };
    required.check()?;
    let request = info.context_of(None, body.fingerprint)?;
    let requested = request_magic_link(&state.reference, &request, input).await?;
    Ok((StatusCode::ACCEPTED, Json(requested)))
}

/// Open: whoever has the token from the e-mail signs in. A POST, because programs that look at mail follow links.
pub(crate) async fn follow(
    State(state): State<ApiState>,
    info: RequestInfo,
    body: JsonBody<Following>,
) -> Result<Json<SignIn>, Problem> {
    let mut required = Required::default();
    let token = required.field("token", body.value.token);
    required.check()?;
    let request = info.context_of(None, body.fingerprint)?;
    Ok(Json(follow_magic_link(&state.reference, &request, &token).await?))
}
