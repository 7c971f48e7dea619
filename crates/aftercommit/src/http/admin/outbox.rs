//! The outbox as operators see it.

use aftercommit_domain::events::OutboxStats;
use aftercommit_domain::tasks::TopicDepth;
use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::http::Problem;
use crate::kit::Operations;

#[derive(Serialize)]
pub(super) struct Status {
    #[serde(flatten)]
    outbox: OutboxStats,
    /// Seconds since the oldest unpublished row was written.
    oldest_age_seconds: Option<f64>,
    topics: Vec<TopicDepth>,
}

pub(super) async fn status(State(operations): State<Operations>) -> Result<Json<Status>, Problem> {
    let outbox = operations.outbox().stats().await.map_err(|error| Problem::of(&error))?;
    let topics = operations
        .inspector()
        .depths()
        .await
        .map_err(|error| Problem::of(&error))?;
    let now = operations.kit.clock().now();
    let age = outbox.oldest.map(|oldest| {
        now.signed_duration_since(oldest)
            .to_std()
            .unwrap_or_default()
            .as_secs_f64()
    });
    Ok(Json(Status {
        outbox,
        oldest_age_seconds: age,
        topics,
    }))
}
