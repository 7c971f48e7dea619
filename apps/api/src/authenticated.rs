//! Who calls, by API key.

use aftercommit_domain::reference::Caller;
use aftercommit_domain::reference::identity::use_cases::authenticate;
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::{ApiState, Problem};

/// A caller with a working API key. Without one the request is answered 401 before anything else is looked at.
pub(crate) struct Authenticated(pub(crate) Caller);

impl FromRequestParts<ApiState> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let presented = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| key.trim())
            .ok_or_else(Problem::unauthorized)?;
        let caller = authenticate(&state.reference, presented).await?;
        let caller = caller.ok_or_else(Problem::unauthorized)?;
        tracing::Span::current().record("organization_id", caller.organization_id.as_str());
        Ok(Self(caller))
    }
}
