//! `/v1/users/{user_id}`.

use aftercommit_domain::reference::UserId;
use aftercommit_domain::reference::identity::use_cases::{keep_user, request_user_deletion};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;

use super::named;
use crate::authenticated::Authenticated;
use crate::request::RequestInfo;
use crate::{ApiState, Problem};

#[derive(Serialize)]
pub(crate) struct Named {
    user_id: UserId,
}

/// 202, because a person is deleted when their grace is over.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(user_id): Path<String>,
) -> Result<(StatusCode, Json<Named>), Problem> {
    let user_id = named::id(&user_id, "user")?;
    request_user_deletion(&state.reference, &caller, &info.context(), user_id).await?;
    Ok((StatusCode::ACCEPTED, Json(Named { user_id })))
}

/// Takes the deletion back. 202, because its workflow is told afterwards; saying so again changes nothing.
pub(crate) async fn keep(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(user_id): Path<String>,
) -> Result<(StatusCode, Json<Named>), Problem> {
    let user_id = named::id(&user_id, "user")?;
    keep_user(&state.reference, &caller, &info.context(), user_id).await?;
    Ok((StatusCode::ACCEPTED, Json(Named { user_id })))
}
