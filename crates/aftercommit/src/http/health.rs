//! `/health`: the process and its loops live. `/ready`: they can do their work now.

use std::time::Duration;

use aftercommit_domain::contract::{Cause, Tenant};
use aftercommit_domain::events::OutboxStats;
use aftercommit_domain::tasks::TopicDepth;
use aftercommit_runtime::LoopReport;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use metrics::gauge;
use serde::Serialize;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

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
    let Depths { outbox, topics } = look(&operations, &mut causes).await;
    // Reading may work where writing does not: an empty unit of work takes its turn and is dropped.
    let begun = timeout(STORE_DEADLINE, operations.kit.begin(&Tenant::System, &Cause::root())).await;
    drop(answered("database, writing", begun, &mut causes));
    // A process that only stores what it is asked for goes on without the broker.
    if let Some(broker) = &operations.kit.inner.providers.broker
        && operations.works_on_the_queue
    {
        causes.extend(broker.trouble());
    }
    let topics_without_owner = topics
        .iter()
        .filter(|depth| depth.available > 0)
        .filter(|depth| match depth.consumers {
            Some(consumers) => consumers == 0,
            None => !operations.owns(&depth.topic),
        })
        .map(|depth| depth.topic.to_string())
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

/// Sets the gauges of what waits. A store that does not answer leaves them as they were; `/ready` says so.
pub(super) async fn refresh_gauges(operations: &Operations) {
    look(operations, &mut Vec::new()).await;
}

/// What waits in the stores.
struct Depths {
    outbox: Option<OutboxStats>,
    topics: Vec<TopicDepth>,
}

/// Asks the stores, and sets the gauges on the way.
async fn look(operations: &Operations, causes: &mut Vec<String>) -> Depths {
    let (outbox, topics) = tokio::join!(
        timeout(STORE_DEADLINE, operations.outbox().stats()),
        timeout(STORE_DEADLINE, operations.inspector().depths()),
    );
    let outbox = answered("database", outbox, causes);
    if let Some(stats) = &outbox {
        set_outbox_gauges(stats);
    }
    let mut of_queue = Vec::new();
    let topics = answered("queue", topics, &mut of_queue);
    // A process that only stores what it is asked for goes on without a broker.
    if operations.works_on_the_queue || operations.kit.inner.providers.broker.is_none() {
        causes.extend(of_queue);
    }
    if let Some(topics) = &topics {
        set_topic_gauges(operations, topics);
    }
    Depths {
        outbox,
        topics: topics.unwrap_or_default(),
    }
}

fn answered<T, E: std::fmt::Display>(
    store: &str,
    answer: Result<Result<T, E>, Elapsed>,
    causes: &mut Vec<String>,
) -> Option<T> {
    match answer {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            causes.push(format!("{store}: {error}"));
            None
        }
        Err(_) => {
            causes.push(format!("{store}: no answer within {} s", STORE_DEADLINE.as_secs()));
            None
        }
    }
}

fn set_outbox_gauges(stats: &OutboxStats) {
    for (state, count) in [
        ("waiting", stats.waiting),
        ("claimed", stats.claimed),
        ("quarantined", stats.quarantined),
    ] {
        gauge!("aftercommit_outbox_rows", "state" => state).set(as_f64(count));
    }
}

/// The topics this process knows, so that the labels are bounded, and one that was drained shows 0.
fn set_topic_gauges(operations: &Operations, depths: &[TopicDepth]) {
    for topic in operations.topics() {
        let depth = depths.iter().find(|depth| depth.topic == topic);
        let [available, scheduled, running] =
            depth.map_or([0; 3], |depth| [depth.available, depth.scheduled, depth.running]);
        for (state, count) in [("available", available), ("scheduled", scheduled), ("running", running)] {
            gauge!("aftercommit_topic_tasks", "topic" => topic.to_string(), "state" => state).set(as_f64(count));
        }
    }
}

fn as_f64(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
