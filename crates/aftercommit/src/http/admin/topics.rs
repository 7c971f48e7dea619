//! Topics as operators see them: what each holds, who takes it, and what the broker keeps for it.

use std::collections::BTreeSet;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::{BrokerPart, TopicDepth};
use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::http::Problem;
use crate::kit::Operations;

#[derive(Serialize)]
pub(super) struct TopicsAnswer {
    topics: Vec<TopicLine>,
    /// Why the broker cannot be worked with at present; absent without a broker, and when it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    broker_trouble: Option<String>,
    /// What this build declares on the broker; empty without one.
    broker: Vec<BrokerPart>,
}

#[derive(Serialize)]
struct TopicLine {
    #[serde(flatten)]
    depth: TopicDepth,
    /// Whether the answering process has handlers for it.
    declared_here: bool,
}

pub(super) async fn list(State(operations): State<Operations>) -> Result<Json<TopicsAnswer>, Problem> {
    let known = operations.leads_to();
    let (mut broker, mut broker_trouble) = (Vec::new(), None);
    if let Some(of) = operations.kit.broker() {
        broker = of.topology(&known).await.map_err(|error| Problem::of(&error))?;
        broker_trouble = of.trouble();
    }
    let depths = operations
        .inspector()
        .depths()
        .await
        .map_err(|error| Problem::of(&error))?;
    let declared = operations.topics();
    let mut lines: Vec<TopicLine> = depths
        .into_iter()
        .map(|depth| TopicLine {
            declared_here: declared.contains(&depth.topic),
            depth,
        })
        .collect();
    let listed: BTreeSet<TopicName> = lines.iter().map(|line| line.depth.topic.clone()).collect();
    let quiet = known.iter().filter(|topic| !listed.contains(*topic));
    lines.extend(quiet.map(|topic| TopicLine {
        depth: TopicDepth {
            topic: topic.clone(),
            available: 0,
            scheduled: 0,
            running: 0,
            paused: 0,
            // Of a topic that a broker does not list there is nothing, and nobody takes from it.
            consumers: (!broker.is_empty()).then_some(0),
        },
        declared_here: declared.contains(topic),
    }));
    lines.sort_by(|a, b| a.depth.topic.cmp(&b.depth.topic));
    Ok(Json(TopicsAnswer {
        topics: lines,
        broker_trouble,
        broker,
    }))
}
