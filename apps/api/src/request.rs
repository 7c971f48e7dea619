//! What a request brings besides its body: its id, its trace, its `Idempotency-Key`.

use std::time::Instant;

use aftercommit_domain::contract::{Cause, CorrelationId, OrganizationId, TraceContext};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::requests::IdempotentRequest;
use aftercommit_domain::reference::{Digest, RequestContext};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::{HeaderMap, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument as _;

use crate::{ApiState, Problem, problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a handler knows of its request besides its body.
pub(crate) struct RequestInfo {
    cause: Cause,
    route: String,
    key: Option<String>,
}

impl RequestInfo {
    /// The context of a request that changes nothing when it is repeated anyway.
    pub(crate) fn context(self) -> RequestContext {
        RequestContext {
            cause: self.cause,
            idempotent: None,
        }
    }

    /// The context of a request with a body, whose key is honoured. The key belongs to `organization_id`, or to nobody
    /// on a route that is open.
    pub(crate) fn context_of(
        self,
        organization_id: Option<&OrganizationId>,
        fingerprint: Digest,
    ) -> Result<RequestContext, Problem> {
        let idempotent = self
            .key
            .map(|key| IdempotentRequest::new(organization_id.cloned(), self.route, &key, fingerprint))
            .transpose()
            .map_err(|invalid| Problem::invalid(invalid.problems))?;
        Ok(RequestContext {
            cause: self.cause,
            idempotent,
        })
    }
}

impl FromRequestParts<ApiState> for RequestInfo {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &ApiState) -> Result<Self, Problem> {
        // A key that is no text is kept as one that is refused, not left out: the client counts on it.
        let key = parts
            .headers
            .get(&IDEMPOTENCY_KEY)
            .map(|value| value.to_str().unwrap_or_default().to_owned());
        Ok(Self {
            cause: parts.extensions.get::<Cause>().cloned().unwrap_or_default(),
            route: format!("{} {}", parts.method, matched_path(parts.extensions.get())),
            key,
        })
    }
}

/// Gives every request its id and trace, a deadline, and one line in the log.
pub(crate) async fn follow(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let cause = cause_of(request.headers(), &state);
    let method = request.method().clone();
    let route = matched_path(request.extensions().get()).to_owned();
    request.extensions_mut().insert(cause.clone());
    let request_id = cause.correlation.as_ref().map_or("", CorrelationId::as_str);
    // What the lines within a request have in common. At the highest level, so that no filter takes the tenant away, which is
    // known once the key was looked up.
    let span = tracing::error_span!(
        "http.request",
        %method,
        route,
        request_id,
        correlation_id = request_id,
        trace_id = cause.trace.as_ref().map_or("", TraceContext::trace_id),
        organization_id = tracing::field::Empty,
        otel.kind = "server",
    );
    let running = tokio::time::timeout(state.request_timeout, next.run(request));
    let answered = running.instrument(span.clone()).await;
    let mut response = answered.unwrap_or_else(|_| problem::timed_out().into_response());
    let status = response.status().as_u16();

    if let Ok(value) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    // The route and not the path, which may hold ids of any number; never the query or a header.
    span.in_scope(|| {
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status, duration_ms, "request answered");
    });
    response
}

fn cause_of(headers: &HeaderMap, state: &ApiState) -> Cause {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let ports = &state.reference;
    let trace = text("traceparent")
        .and_then(|parent| TraceContext::parse(parent, text("tracestate")).ok())
        .unwrap_or_else(|| TraceContext::start(&*ports.randomness));
    let correlation = text(REQUEST_ID.as_str())
        .and_then(|id| CorrelationId::new(id).ok())
        .unwrap_or_else(|| CorrelationId::from(MessageId::new(&*ports.ids)));
    Cause {
        correlation: Some(correlation),
        causation: None,
        trace: Some(trace),
    }
}

fn matched_path(path: Option<&MatchedPath>) -> &str {
    path.map_or("unknown", MatchedPath::as_str)
}
