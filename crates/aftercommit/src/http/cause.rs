//! Why a request of an operator happens: its trace and its id, or new ones.

use std::convert::Infallible;

use aftercommit_domain::contract::{Cause, CorrelationId, TraceContext};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// What the messages a request leads to pass on: the trace of `traceparent` and what `X-Request-Id` names, as far as they are
/// there. Without a trace, the first message begins one.
pub(super) struct RequestCause(pub(super) Cause);

impl<S: Send + Sync> FromRequestParts<S> for RequestCause {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        Ok(Self(Cause {
            correlation: text("x-request-id").and_then(|id| CorrelationId::new(id).ok()),
            causation: None,
            trace: text("traceparent").and_then(|parent| TraceContext::parse(parent, text("tracestate")).ok()),
        }))
    }
}
