//! `/v1/invitations`.

use aftercommit_domain::reference::InvitationId;
use aftercommit_domain::reference::invitations::use_cases::{
    CreateInvitation, InvitationAcceptance, InvitationCreation, InvitationProlongation, accept_invitation,
    create_invitation, prolong_invitation, revoke_invitation,
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
    email: Option<String>,
    role: Option<String>,
    project_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acceptance {
    token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prolongation {}

#[derive(Serialize)]
pub(crate) struct Revoked {
    invitation_id: InvitationId,
}

/// 202, because the e-mail is sent afterwards.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    body: JsonBody<Body>,
) -> Result<(StatusCode, Json<InvitationCreation>), Problem> {
    let mut required = Required::default();
    let (email, role) = (
        required.field("email", body.value.email),
        required.field("role", body.value.role),
    );
    required.check()?;
    let input = CreateInvitation {
        email,
        role,
        project_id: named::project(body.value.project_id)?,
    };
    let request = info.context_of(Some(&caller.organization_id), body.fingerprint)?;
    let made = create_invitation(&state.reference, &caller, &request, input).await?;
    Ok((StatusCode::ACCEPTED, Json(made)))
}

pub(crate) async fn revoke(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(invitation_id): Path<String>,
) -> Result<Json<Revoked>, Problem> {
    let invitation_id = named::id(&invitation_id, "invitation")?;
    revoke_invitation(&state.reference, &caller, &info.context(), invitation_id).await?;
    Ok(Json(Revoked { invitation_id }))
}

/// As long from now as a new one.
pub(crate) async fn prolong(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(invitation_id): Path<String>,
    body: JsonBody<Prolongation>,
) -> Result<Json<InvitationProlongation>, Problem> {
    let invitation_id = named::id(&invitation_id, "invitation")?;
    let request = info.context_of(Some(&caller.organization_id), body.fingerprint)?;
    let prolonged = prolong_invitation(&state.reference, &caller, &request, invitation_id).await?;
    Ok(Json(prolonged))
}

/// Open: whoever has the token from the e-mail accepts.
pub(crate) async fn accept(
    State(state): State<ApiState>,
    info: RequestInfo,
    Path(invitation_id): Path<String>,
    body: JsonBody<Acceptance>,
) -> Result<Json<InvitationAcceptance>, Problem> {
    let mut required = Required::default();
    let token = required.field("token", body.value.token);
    required.check()?;
    let invitation_id = named::id(&invitation_id, "invitation")?;
    let request = info.context_of(None, body.fingerprint)?;
    let accepted = accept_invitation(&state.reference, &request, invitation_id, &token).await?;
    Ok(Json(accepted))
}
