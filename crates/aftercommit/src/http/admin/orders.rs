//! What operators order about tasks: cancelling and pausing.

use aftercommit_domain::contract::TaskName;
use aftercommit_domain::tasks::{
    CancelOrder, Cancelled, NewPause, Pause, PauseTarget, Reason, Surroundings, TaskDetails, TaskState, Unseen, explain,
};
use aftercommit_domain::time::Timestamp;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::admin::actor::Actor;
use crate::http::admin::{Body, Path, message_id, not_found};
use crate::http::{Problem, workflow_engine};
use crate::kit::Operations;

/// The longest reason that is taken, in bytes.
const LONGEST_REASON: usize = 500;

#[derive(Deserialize)]
pub(super) struct CancelBody {
    reason: String,
}

#[derive(Serialize)]
pub(super) struct CancelAnswer {
    cancelled: &'static str,
    /// Of one that was over: how it had ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<TaskState>,
}

#[derive(Deserialize)]
pub(super) struct PauseBody {
    target: PauseTarget,
    reason: String,
    #[serde(default)]
    until: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct ResumeBody {
    target: PauseTarget,
}

#[derive(Serialize)]
pub(super) struct ResumeAnswer {
    /// The pause that ended; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Pause>,
}

#[derive(Serialize)]
pub(super) struct PausesAnswer {
    pauses: Vec<Pause>,
}

#[derive(Serialize)]
pub(super) struct ExplainAnswer {
    explanation: String,
    #[serde(flatten)]
    task: Option<TaskDetails>,
}

pub(super) async fn cancel(
    State(operations): State<Operations>,
    Actor(actor): Actor,
    Path(id): Path<String>,
    Body(CancelBody { reason }): Body<CancelBody>,
) -> Result<Json<CancelAnswer>, Problem> {
    let task = message_id(&id)?;
    let reason = checked_reason(&reason)?;
    let unseen = if operations.kit.queue_publisher().capabilities().shows_each_task {
        Unseen::IsUnknown
    } else {
        Unseen::MayBeElsewhere
    };
    let order = CancelOrder { task, actor, reason };
    let cancelled = operations.cancellations().cancel(&order, unseen).await;
    let answer = |cancelled, state| Ok(Json(CancelAnswer { cancelled, state }));
    match cancelled.map_err(|error| Problem::of(&error))? {
        Cancelled::Ended => {
            tracing::info!(%task, actor = order.actor, reason = %order.reason, "a task was cancelled");
            answer("ended", None)
        }
        Cancelled::Requested => {
            tracing::info!(%task, actor = order.actor, reason = %order.reason, "a task is to be cancelled");
            answer("requested", None)
        }
        Cancelled::Over(state) => answer("over", Some(state)),
        Cancelled::Unknown => Err(not_found("task", task)),
    }
}

pub(super) async fn pauses(State(operations): State<Operations>) -> Result<Json<PausesAnswer>, Problem> {
    let pauses = operations.pauses().list().await;
    pauses
        .map(|pauses| Json(PausesAnswer { pauses }))
        .map_err(|error| Problem::of(&error))
}

pub(super) async fn pause(
    State(operations): State<Operations>,
    Actor(actor): Actor,
    Body(body): Body<PauseBody>,
) -> Result<(StatusCode, Json<Pause>), Problem> {
    let new = NewPause {
        target: body.target,
        reason: checked_reason(&body.reason)?,
        actor,
        until: body.until,
    };
    if let Some(until) = new.until
        && until <= operations.kit.clock().now()
    {
        let detail = format!("until is {until}, which has passed");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "pause.is_over", detail));
    }
    let pause = operations.pauses().pause(&new).await;
    let pause = pause.map_err(|error| Problem::of(&error))?;
    tracing::warn!(target = %pause.target, actor = pause.actor, reason = %pause.reason, until = ?pause.until, "paused");
    Ok((StatusCode::CREATED, Json(pause)))
}

pub(super) async fn resume(
    State(operations): State<Operations>,
    Actor(actor): Actor,
    Body(ResumeBody { target }): Body<ResumeBody>,
) -> Result<Json<ResumeAnswer>, Problem> {
    let ended = operations.pauses().resume(&target).await;
    let ended = ended.map_err(|error| Problem::of(&error))?;
    if ended.is_some() {
        tracing::warn!(%target, actor, "resumed");
    }
    Ok(Json(ResumeAnswer { ended }))
}

pub(super) async fn explanation(
    State(operations): State<Operations>,
    Path(id): Path<String>,
) -> Result<Json<ExplainAnswer>, Problem> {
    let id = message_id(&id)?;
    let found = operations.inspector().find(id).await;
    let order = operations.cancellations().find(id).await;
    let order = order.map_err(|error| Problem::of(&error))?;
    let Some(task) = found.map_err(|error| Problem::of(&error))? else {
        // It may wait on a broker, which shows no single task.
        let order = order.ok_or_else(|| not_found("task", id))?;
        let explanation = format!(
            "Nothing shows where it is. It ends as cancelled as soon as whoever is handed it looks: {}.",
            order.outcome()
        );
        return Ok(Json(ExplainAnswer {
            explanation,
            task: None,
        }));
    };
    let depths = operations.inspector().depths().await;
    let depths = depths.map_err(|error| Problem::of(&error))?;
    let topic = task.summary.topic.clone();
    let name = TaskName::new(task.summary.task.as_str()).ok();
    let around = Surroundings {
        pauses: operations.pauses().list().await.map_err(|error| Problem::of(&error))?,
        order,
        depth: depths.into_iter().find(|depth| depth.topic == topic),
        is_declared_here: operations.works_on_the_queue && operations.owns(&topic),
        max_attempts: name.and_then(|name| operations.max_attempts.get(&(topic, name)).copied()),
    };
    let mut explanation = explain(&task, &around);
    if let Some(more) = workflow_engine::explained(&operations, &task).await {
        explanation = format!("{explanation} {more}");
    }
    Ok(Json(ExplainAnswer {
        explanation,
        task: Some(task),
    }))
}

pub(super) fn checked_reason(reason: &str) -> Result<Reason, Problem> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > LONGEST_REASON || reason.contains(char::is_control) {
        let detail = format!("reason is 1 to {LONGEST_REASON} bytes of one line that tells others why");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "reason.invalid", detail));
    }
    Ok(Reason::new(reason))
}
