//! `/health`: the process and its loops live. `/ready`: they can do their work now.

use std::time::Duration;

use aftercommit_domain::contract::{Cause, Tenant};
use aftercommit_domain::events::OutboxStats;
use aftercommit_domain::tasks::{DeadLetterFilter, Pause, PauseTarget, TopicDepth};
use aftercommit_domain::time::{Timestamp, before};
use aftercommit_domain::workflows::WORKFLOW_REQUESTS_TOPIC;
use aftercommit_runtime::LoopReport;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use metrics::gauge;
use serde::Serialize;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::http::dead_lately::{DeadLately, RECENT};
use crate::http::paused::Paused;
use crate::http::readiness::{Found, Readiness, detail, judge};
use crate::http::workflow_engine::{WorkflowEngineTrouble, waiting_requests};
use crate::kit::Operations;

/// The longest a store may take to answer before it counts as away.
const STORE_DEADLINE: Duration = Duration::from_secs(2);
/// The most dead letters that are looked at for one answer.
const DEAD_LETTERS: u32 = 20;

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
    /// Why it is not, one line each.
    causes: Vec<String>,
    /// What should be looked at all the same.
    details: Vec<String>,
    outbox: Option<OutboxStats>,
    topics: Vec<TopicDepth>,
    topics_without_owner: Vec<String>,
}

/// 200 when every loop does its work and the store answers; 503 with the causes otherwise.
pub(super) async fn ready(State(operations): State<Operations>) -> (StatusCode, Json<ReadyAnswer>) {
    let (depths, writing, dead, pauses, engine) = tokio::join!(
        look(&operations),
        try_to_write(&operations),
        dead_lately(&operations),
        pauses(&operations),
        WorkflowEngineTrouble::look(&operations)
    );
    let works = operations.works_on_the_queue;
    let has_broker = operations.kit.inner.providers.broker.is_some();
    // A process that only stores what it is asked for goes on without the broker.
    let broker = operations
        .kit
        .broker()
        .filter(|_| works)
        .and_then(|broker| broker.trouble());
    let unasked = depths.topics.as_ref().err().cloned();
    // Whether a broker is there its links tell; to count what waits there may take longer than one is to wait here.
    let (queue, uncounted) = if has_broker && depths.is_late {
        (None, unasked)
    } else {
        (unasked.filter(|_| works || !has_broker), None)
    };
    let is_counted = depths.topics.is_ok();
    let outbox = depths.outbox.as_ref().ok().cloned();
    let topics = depths.topics.unwrap_or_default();
    let without_owner: Vec<(String, u64)> = topics
        .iter()
        .filter(|depth| depth.available > 0)
        // Requests that miss their engine are told of with it.
        .filter(|depth| engine == WorkflowEngineTrouble::None || depth.topic != WORKFLOW_REQUESTS_TOPIC)
        // Of a paused topic nobody takes, on purpose.
        .filter(|depth| {
            !pauses
                .iter()
                .any(|pause| pause.target == PauseTarget::Topic(depth.topic.clone()))
        })
        .filter(|depth| match depth.consumers {
            Some(consumers) => consumers == 0,
            None => !operations.owns(&depth.topic),
        })
        .map(|depth| (depth.topic.to_string(), depth.available))
        .collect();
    let topics_without_owner = without_owner.iter().map(|(topic, _)| topic.clone()).collect();
    let health = operations.kit.health();
    let found = Found {
        now: operations.kit.clock().now(),
        is_stopping: health.is_stopping(),
        loops: health.reports(),
        outbox: depths.outbox,
        relay: operations.relays.then(|| operations.kit.settings().relay.max_lag),
        queue,
        uncounted,
        writing,
        broker,
        without_owner: is_counted.then_some(without_owner),
        dead,
        pauses: Paused(pauses),
    };
    let (now, trouble) = (found.now, engine.described(waiting_requests(&topics)));
    let Readiness { causes, mut details } = judge(found, &operations.seen_since);
    details.extend(detail("workflows", &operations.seen_since, now, trouble));
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
            details,
            outbox,
            topics,
            topics_without_owner,
        }),
    )
}

/// Reading may work where writing does not: an empty unit of work takes its turn and is dropped. Answers why it cannot.
async fn try_to_write(operations: &Operations) -> Option<String> {
    let begun = timeout(STORE_DEADLINE, operations.kit.begin(&Tenant::System, &Cause::root())).await;
    answered(begun).err()
}

/// Nothing when they cannot be asked: that the database is away is told elsewhere.
async fn dead_lately(operations: &Operations) -> DeadLately {
    let filter = DeadLetterFilter {
        limit: Some(DEAD_LETTERS),
        ..DeadLetterFilter::default()
    };
    let asked = timeout(STORE_DEADLINE, operations.dead_letters().list(&filter)).await;
    let since = before(operations.kit.clock().now(), RECENT);
    let mut letters = answered(asked).unwrap_or_default();
    letters.retain(|letter| letter.died_at >= since);
    DeadLately {
        count: letters.len(),
        is_more: letters.len() >= usize::try_from(DEAD_LETTERS).unwrap_or(usize::MAX),
        newest: letters.first().map(|letter| {
            (
                letter.died_at,
                letter.topic.to_string(),
                letter.failure.code.to_string(),
            )
        }),
    }
}

/// The pauses in force; none when they cannot be asked.
async fn pauses(operations: &Operations) -> Vec<Pause> {
    answered(timeout(STORE_DEADLINE, operations.pauses().list()).await).unwrap_or_default()
}

/// Sets the gauges of what waits. A store that does not answer leaves them as they were; `/ready` says so.
pub(super) async fn refresh_gauges(operations: &Operations) {
    look(operations).await;
}

/// What waits in the stores, or why they cannot be asked.
struct Depths {
    outbox: Result<OutboxStats, String>,
    topics: Result<Vec<TopicDepth>, String>,
    /// Whether the topics did not answer in time.
    is_late: bool,
}

/// Asks the stores, and sets the gauges on the way.
async fn look(operations: &Operations) -> Depths {
    let (outbox, topics) = tokio::join!(
        timeout(STORE_DEADLINE, operations.outbox().stats()),
        timeout(STORE_DEADLINE, operations.inspector().depths()),
    );
    let is_late = topics.is_err();
    let (outbox, topics) = (answered(outbox), answered(topics));
    if let Ok(stats) = &outbox {
        set_outbox_gauges(stats, operations.kit.clock().now());
    }
    if let Ok(topics) = &topics {
        set_topic_gauges(operations, topics);
    }
    Depths {
        outbox,
        topics,
        is_late,
    }
}

fn answered<T, E: std::fmt::Display>(answer: Result<Result<T, E>, Elapsed>) -> Result<T, String> {
    match answer {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", STORE_DEADLINE.as_secs())),
    }
}

fn set_outbox_gauges(stats: &OutboxStats, now: Timestamp) {
    let age = stats.oldest.map_or(0.0, |oldest| {
        now.signed_duration_since(oldest)
            .to_std()
            .unwrap_or_default()
            .as_secs_f64()
    });
    gauge!("aftercommit_outbox_age_seconds").set(age);
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
