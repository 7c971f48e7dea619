//! What every process answers over HTTP: health, readiness, metrics, and the operators' `/admin/v1`.

mod admin;
mod cause;
pub(crate) mod connections;
mod dead_lately;
mod health;
mod paused;
mod problem;
pub(crate) mod readiness;
pub(crate) mod seen_since;
mod workflow_engine;

use std::time::Duration;

use aftercommit_platform_telemetry::MetricsHandle;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use secrecy::SecretString;

pub use problem::Problem;

use crate::kit::Operations;

/// The longest an operator's request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// `/health`, `/ready`, `/metrics` and `/admin/v1`: what [`Aftercommit::run`](crate::Aftercommit::run) serves beside the
/// application's own routes. What it does not know is left to the fallback of whoever serves it.
///
/// `token` is what `/admin/v1` asks for; the others answer everybody.
pub fn router(operations: Operations, metrics: MetricsHandle, token: SecretString) -> Router {
    Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .with_state(operations.clone())
        .merge(
            Router::new()
                .route("/metrics", get(render_metrics))
                .with_state((operations.clone(), metrics)),
        )
        .route_layer(from_fn(in_time))
        .merge(admin_router(operations, token))
}

/// `/admin/v1` alone: what the command line talks to, over a socket or inside its own process.
pub fn admin_router(operations: Operations, token: SecretString) -> Router {
    admin::router(operations, token).route_layer(from_fn(in_time))
}

/// Nobody waits longer than this for an answer.
async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "request.timed_out",
            format!(
                "no answer within {} s; it may or may not have been done",
                REQUEST_TIMEOUT.as_secs()
            ),
        )
        .into_response(),
    }
}

async fn render_metrics(State((operations, metrics)): State<(Operations, MetricsHandle)>) -> Response {
    health::refresh_gauges(&operations).await;
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        metrics.render(),
    )
        .into_response()
}

/// The answer to a path nobody has.
pub(crate) async fn not_found(uri: Uri) -> Problem {
    let detail = format!("there is no {}", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "route.not_found", detail)
}
