//! Dead letters as operators see, replay and discard them.

use aftercommit_domain::contract::{Json as RawJson, OrganizationId, TopicName};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetter, DeadLetterFilter};
use aftercommit_domain::time::Timestamp;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::http::Problem;
use crate::http::admin::{Path, Query, message_id, not_found};
use crate::kit::Operations;

/// Who acts, as the audit records it. There is one operator's token, so there is one name.
const ACTOR: &str = "admin-api";

#[derive(Serialize)]
pub(super) struct DeadLetterAnswer {
    id: MessageId,
    topic: TopicName,
    task: Option<String>,
    organization_id: Option<OrganizationId>,
    attempts: u32,
    failure: Failure,
    fingerprint: String,
    died_at: Timestamp,
    /// The envelope as it came, when it is JSON; sealed values are sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<RawJson>,
    body_bytes: usize,
}

#[derive(Serialize)]
pub(super) struct DeadLettersAnswer {
    dead_letters: Vec<DeadLetterAnswer>,
}

#[derive(Serialize)]
pub(super) struct ActedOn {
    ids: Vec<MessageId>,
}

#[derive(Deserialize)]
pub(super) struct Filter {
    topic: Option<TopicName>,
    organization_id: Option<OrganizationId>,
    code: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(operations): State<Operations>,
    Query(filter): Query<Filter>,
) -> Result<Json<DeadLettersAnswer>, Problem> {
    let Filter {
        topic,
        organization_id,
        code,
        limit,
    } = filter;
    let filter = DeadLetterFilter {
        topic,
        organization_id,
        code,
        limit,
    };
    let letters = operations
        .dead_letters()
        .list(&filter)
        .await
        .map_err(|error| Problem::of(&error))?;
    Ok(Json(DeadLettersAnswer {
        dead_letters: letters.into_iter().map(|letter| answer(letter, false)).collect(),
    }))
}

pub(super) async fn show(
    State(operations): State<Operations>,
    Path(id): Path<String>,
) -> Result<Json<DeadLetterAnswer>, Problem> {
    let id = message_id(&id)?;
    let letter = operations
        .dead_letters()
        .find(id)
        .await
        .map_err(|error| Problem::of(&error))?;
    Ok(Json(answer(letter.ok_or_else(|| not_found("dead letter", id))?, true)))
}

pub(super) async fn replay(
    State(operations): State<Operations>,
    Path(id): Path<String>,
) -> Result<Json<ActedOn>, Problem> {
    let id = message_id(&id)?;
    let ids = operations
        .dead_letters()
        .replay(&[id], ACTOR)
        .await
        .map_err(|error| Problem::of(&error))?;
    acted_on(ids, id)
}

pub(super) async fn discard(
    State(operations): State<Operations>,
    Path(id): Path<String>,
) -> Result<Json<ActedOn>, Problem> {
    let id = message_id(&id)?;
    let ids = operations
        .dead_letters()
        .discard(&[id], ACTOR)
        .await
        .map_err(|error| Problem::of(&error))?;
    acted_on(ids, id)
}

fn acted_on(ids: Vec<MessageId>, id: MessageId) -> Result<Json<ActedOn>, Problem> {
    if ids.is_empty() {
        Err(not_found("dead letter", id))
    } else {
        Ok(Json(ActedOn { ids }))
    }
}

fn answer(letter: DeadLetter, with_envelope: bool) -> DeadLetterAnswer {
    let envelope = if with_envelope {
        serde_json::from_slice(&letter.body).ok()
    } else {
        None
    };
    DeadLetterAnswer {
        id: letter.id,
        topic: letter.topic,
        task: letter.task.as_ref().map(|task| task.task.to_string()),
        organization_id: letter
            .task
            .as_ref()
            .and_then(|task| task.tenant.organization_id().cloned()),
        attempts: letter.attempts,
        fingerprint: letter.failure.fingerprint(),
        failure: letter.failure,
        died_at: letter.died_at,
        envelope,
        body_bytes: letter.body.len(),
    }
}
