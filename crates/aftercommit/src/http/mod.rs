//! What every process answers over HTTP: health, readiness, metrics, and the operators' `/admin/v1`.

mod admin;
mod health;
mod problem;

use std::sync::Arc;
use std::time::Duration;

use aftercommit_platform_telemetry::MetricsHandle;
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use secrecy::SecretString;
use tower_http::timeout::TimeoutLayer;

pub use problem::Problem;

use crate::kit::Operations;

/// The longest an operator's request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// `/health`, `/ready`, `/metrics` and `/admin/v1`.
pub(crate) fn router(operations: Operations, metrics: MetricsHandle, token: SecretString) -> Router {
    let open = Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .with_state(operations.clone())
        .merge(
            Router::new()
                .route("/metrics", get(render_metrics))
                .with_state(Arc::new(metrics)),
        );
    open.merge(admin_router(operations, token))
        .layer(TimeoutLayer::with_status_code(
            axum::http::StatusCode::SERVICE_UNAVAILABLE,
            REQUEST_TIMEOUT,
        ))
}

/// `/admin/v1` alone: what the command line talks to, over a socket or inside its own process.
pub fn admin_router(operations: Operations, token: SecretString) -> Router {
    admin::router(operations, token)
}

async fn render_metrics(State(metrics): State<Arc<MetricsHandle>>) -> Response {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        metrics.render(),
    )
        .into_response()
}
