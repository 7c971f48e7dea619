//! Who asks, as the audit records it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode};

use crate::http::Problem;

/// Where a client says who asks. It is believed: whoever has the operators' token may say any name.
const OPERATOR: HeaderName = HeaderName::from_static("aftercommit-operator");
/// The longest name.
const MOST: usize = 120;

/// Who asks.
pub(super) struct Actor(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(name) = parts.headers.get(OPERATOR) else {
            return Ok(Self("admin-api".into()));
        };
        match name.to_str() {
            Ok(name) if !name.trim().is_empty() && name.len() <= MOST => Ok(Self(name.trim().to_owned())),
            Ok(_) | Err(_) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "operator.invalid",
                format!("the header {OPERATOR} holds 1 to {MOST} visible ASCII characters"),
            )),
        }
    }
}
