//! `/v1/users/{user_id}/notification-preferences`.

use aftercommit_domain::reference::UserId;
use aftercommit_domain::reference::notifications::NotificationPreferences;
use aftercommit_domain::reference::notifications::use_cases::{
    set_notification_preferences, show_notification_preferences,
};
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::named;
use crate::authenticated::Authenticated;
use crate::json_body::{JsonBody, Required};
use crate::request::RequestInfo;
use crate::{ApiState, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    incident_emails: Option<bool>,
    digest_emails: Option<bool>,
}

pub(crate) async fn show(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(user_id): Path<String>,
) -> Result<Json<NotificationPreferences>, Problem> {
    let user_id: UserId = named::id(&user_id, "user")?;
    let cause = info.context().cause;
    let preferences = show_notification_preferences(&state.reference, &caller, &cause, user_id).await?;
    Ok(Json(preferences))
}

/// The whole of them: what is put again is the same, so that it needs no key.
pub(crate) async fn set(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(user_id): Path<String>,
    body: JsonBody<Body>,
) -> Result<Json<NotificationPreferences>, Problem> {
    let user_id: UserId = named::id(&user_id, "user")?;
    let mut required = Required::default();
    let (incident_emails, digest_emails) = (
        required.field("incident_emails", body.value.incident_emails),
        required.field("digest_emails", body.value.digest_emails),
    );
    required.check()?;
    let preferences = NotificationPreferences {
        incident_emails,
        digest_emails,
    };
    let cause = info.context().cause;
    let kept = set_notification_preferences(&state.reference, &caller, &cause, user_id, preferences).await?;
    Ok(Json(kept))
}
