//! Tasks as operators see and publish them.

use std::time::Duration;

use aftercommit_domain::contract::{Json as RawJson, OrganizationId, TaskName, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{TaskDetails, TaskFilter, TaskOptions, TaskState, TaskSummary};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::Problem;
use crate::http::admin::{Body, Path, Query, message_id, not_found};
use crate::http::cause::RequestCause;
use crate::kit::Operations;

#[derive(Serialize)]
pub(super) struct TasksAnswer {
    tasks: Vec<TaskSummary>,
}

/// What the command line sends to publish a task.
#[derive(Deserialize)]
pub(super) struct Publish {
    topic: TopicName,
    task: TaskName,
    payload: RawJson,
    #[serde(default)]
    delay_ms: u64,
}

#[derive(Serialize)]
pub(super) struct PublishedAnswer {
    task_id: MessageId,
}

#[derive(Deserialize)]
pub(super) struct Filter {
    topic: Option<TopicName>,
    state: Option<TaskState>,
    organization_id: Option<OrganizationId>,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(operations): State<Operations>,
    Query(filter): Query<Filter>,
) -> Result<Json<TasksAnswer>, Problem> {
    let Filter {
        topic,
        state,
        organization_id,
        limit,
    } = filter;
    let filter = TaskFilter {
        topic,
        state,
        organization_id,
        limit,
    };
    let tasks = operations
        .inspector()
        .list(&filter)
        .await
        .map_err(|error| Problem::of(&error))?;
    Ok(Json(TasksAnswer { tasks }))
}

pub(super) async fn show(
    State(operations): State<Operations>,
    Path(id): Path<String>,
) -> Result<Json<TaskDetails>, Problem> {
    let id = message_id(&id)?;
    let task = operations
        .inspector()
        .find(id)
        .await
        .map_err(|error| Problem::of(&error))?;
    task.ok_or_else(|| not_found("task", id)).map(Json)
}

pub(super) async fn publish(
    State(operations): State<Operations>,
    RequestCause(cause): RequestCause,
    Body(publish): Body<Publish>,
) -> Result<(StatusCode, Json<PublishedAnswer>), Problem> {
    let delay = (publish.delay_ms > 0).then(|| Duration::from_millis(publish.delay_ms));
    let longest = operations.kit.queue_publisher().capabilities().longest_delay;
    if delay.is_some_and(|delay| delay > longest) {
        let detail = format!(
            "the delay is longer than the queue's {} days",
            longest.as_secs() / 86_400
        );
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "delay.out_of_range",
            detail,
        ));
    }
    let options = TaskOptions {
        delay,
        ..TaskOptions::default()
    };
    let envelope = operations
        .tasks
        .read(
            (&publish.topic, &publish.task),
            &publish.payload,
            operations.kit.envelopes(),
            &options,
            &cause,
        )
        .map_err(|error| Problem::of(&error))?;
    let task_id = envelope.id;
    match operations.kit.queue_publisher().publish(vec![envelope]).await.pop() {
        Some(Ok(_)) => Ok((StatusCode::ACCEPTED, Json(PublishedAnswer { task_id }))),
        Some(Err(error)) => Err(Problem::of(&error)),
        None => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "queue.unknown",
            "the queue did not answer",
        )),
    }
}
