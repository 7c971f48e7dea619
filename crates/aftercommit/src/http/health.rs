//! `/health`: the process and its loops live. `/ready`: they can do their work now.

use std::time::Duration;

use aftercommit_domain::events::OutboxStats;
use aftercommit_domain::tasks::TopicDepth;
use aftercommit_runtime::LoopReport;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use metrics::gauge;
use serde::Serialize;

use crate::kit::Operations;

/// The longest a store may take to answer before it counts as away.
const STORE_DEADLINE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
pub(super) struct HealthAnswer {
    status: &'static str,
    loops: Vec<LoopReport>,
}

/// 200 as long as the process answers: its loops cannot die, and what they are doing is listed.
pub(super) async fn health(State(operations): State<Operations>) -> Json<HealthAnswer> {
    Json(HealthAnswer {
        status: "alive",
        loops: operations.kit.health().reports(),
    })
}

#[derive(Serialize)]
pub(super) struct ReadyAnswer {
    ready: bool,
    causes: Vec<String>,
    outbox: Option<OutboxStats>,
    topics: Vec<TopicDepth>,
    topics_without_owner: Vec<String>,
}

/// 200 when every loop does its work and the store answers; 503 with the causes otherwise.
pub(super) async fn ready(State(operations): State<Operations>) -> (StatusCode, Json<ReadyAnswer>) {
    let mut causes = operations.kit.health().causes();
    let outbox = match tokio::time::timeout(STORE_DEADLINE, operations.outbox().stats()).await {
        Ok(Ok(stats)) => Some(stats),
        Ok(Err(error)) => {
            causes.push(format!("database: {error}"));
            None
        }
        Err(_) => {
            causes.push("database: no answer within 2 s".into());
            None
        }
    };
    let topics = match tokio::time::timeout(STORE_DEADLINE, operations.inspector().depths()).await {
        Ok(Ok(depths)) => depths,
        Ok(Err(error)) => {
            causes.push(format!("queue: {error}"));
            Vec::new()
        }
        Err(_) => {
            causes.push("queue: no answer within 2 s".into());
            Vec::new()
        }
    };
    publish_gauges(outbox.as_ref(), &topics);
    let topics_without_owner = topics
        .iter()
        .filter(|depth| depth.available > 0)
        .map(|depth| depth.topic.to_string())
        .filter(|topic| !operations.owns(topic))
        .collect();
    let ready = causes.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(ReadyAnswer {
            ready,
            causes,
            outbox,
            topics,
            topics_without_owner,
        }),
    )
}

fn publish_gauges(outbox: Option<&OutboxStats>, topics: &[TopicDepth]) {
    if let Some(stats) = outbox {
        for (state, count) in [
            ("waiting", stats.waiting),
            ("claimed", stats.claimed),
            ("quarantined", stats.quarantined),
        ] {
            gauge!("aftercommit_outbox_rows", "state" => state).set(as_f64(count));
        }
    }
    for depth in topics {
        for (state, count) in [
            ("available", depth.available),
            ("scheduled", depth.scheduled),
            ("running", depth.running),
        ] {
            gauge!("aftercommit_topic_tasks", "topic" => depth.topic.to_string(), "state" => state).set(as_f64(count));
        }
    }
}

fn as_f64(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
