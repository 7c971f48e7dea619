//! Dead letters as operators see, correct, replay and discard them.

use aftercommit_domain::contract::{Json as RawJson, OrganizationId, TaskEnvelope, TopicName};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetter, DeadLetterAct, DeadLetterAction, DeadLetterFilter, DeadLetterGroup};
use aftercommit_domain::time::Timestamp;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::Problem;
use crate::http::admin::actor::Actor;
use crate::http::admin::{Path, Query, message_id, not_found};
use crate::kit::Operations;

/// The longest code or fingerprint that is looked for.
const LONGEST_TEXT: usize = 200;
/// The most bytes that are shown of what is no JSON.
const LONGEST_EXCERPT: usize = 512;

#[derive(Serialize)]
pub(super) struct DeadLetterAnswer {
    id: MessageId,
    topic: TopicName,
    task: Option<String>,
    organization_id: Option<OrganizationId>,
    attempts: u32,
    failure: Failure,
    fingerprint: String,
    enqueued_at: Timestamp,
    died_at: Timestamp,
    first_died_at: Timestamp,
    deaths: u32,
    body_bytes: usize,
    #[serde(flatten)]
    whole: Option<Whole>,
}

/// What only one letter shows.
#[derive(Serialize)]
struct Whole {
    /// The envelope as it came, when it is JSON; sealed values are sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<RawJson>,
    /// How it begins, when it is no JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    excerpt: Option<String>,
    /// What was done to it, newest first.
    actions: Vec<ActionAnswer>,
}

#[derive(Serialize)]
pub(super) struct DeadLettersAnswer {
    dead_letters: Vec<DeadLetterAnswer>,
}

#[derive(Serialize)]
pub(super) struct GroupsAnswer {
    /// Letters that fit, in whatever group.
    letters: u64,
    groups: Vec<DeadLetterGroup>,
}

#[derive(Serialize)]
struct ActionAnswer {
    action: DeadLetterAct,
    actor: String,
    at: Timestamp,
    letter: MessageId,
    topic: Option<TopicName>,
    fingerprint: Option<String>,
    died_at: Option<Timestamp>,
    bulk_run: Option<MessageId>,
    /// What a correction replaced, when it is JSON; sealed values are sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<RawJson>,
}

#[derive(Serialize)]
pub(super) struct ActionsAnswer {
    actions: Vec<ActionAnswer>,
}

#[derive(Serialize)]
pub(super) struct ActedOn {
    ids: Vec<MessageId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActionsOf {
    letter: Option<MessageId>,
    limit: Option<u32>,
}

/// What may stand in the body of a replay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    /// What takes the place of the payload.
    #[serde(default)]
    payload: Option<RawJson>,
}

pub(super) async fn list(
    State(operations): State<Operations>,
    Query(filter): Query<DeadLetterFilter>,
) -> Result<Json<DeadLettersAnswer>, Problem> {
    check_texts(&filter)?;
    let letters = operations.dead_letters().list(&filter).await;
    let letters = letters.map_err(|error| Problem::of(&error))?;
    Ok(Json(DeadLettersAnswer {
        dead_letters: letters.into_iter().map(|letter| answer(letter, None)).collect(),
    }))
}

pub(super) async fn groups(
    State(operations): State<Operations>,
    Query(filter): Query<DeadLetterFilter>,
) -> Result<Json<GroupsAnswer>, Problem> {
    check_texts(&filter)?;
    let letters = operations.dead_letter_operations().count(&filter).await;
    let groups = operations.dead_letter_operations().groups(&filter).await;
    Ok(Json(GroupsAnswer {
        letters: letters.map_err(|error| Problem::of(&error))?,
        groups: groups.map_err(|error| Problem::of(&error))?,
    }))
}

pub(super) async fn actions(
    State(operations): State<Operations>,
    Query(ActionsOf { letter, limit }): Query<ActionsOf>,
) -> Result<Json<ActionsAnswer>, Problem> {
    let actions = operations.dead_letter_operations().actions(letter, limit).await;
    let actions = actions.map_err(|error| Problem::of(&error))?;
    Ok(Json(ActionsAnswer {
        actions: actions.into_iter().map(ActionAnswer::from).collect(),
    }))
}

pub(super) async fn show(
    State(operations): State<Operations>,
    Path(id): Path<String>,
) -> Result<Json<DeadLetterAnswer>, Problem> {
    let id = message_id(&id)?;
    let letter = find(&operations, id).await?;
    let actions = operations.dead_letter_operations().actions(Some(id), None).await;
    let actions = actions.map_err(|error| Problem::of(&error))?;
    let envelope: Option<RawJson> = serde_json::from_slice(&letter.body).ok();
    let excerpt = envelope.is_none().then(|| {
        let start = letter.body.get(..LONGEST_EXCERPT).unwrap_or(&letter.body);
        String::from_utf8_lossy(start).into_owned()
    });
    let whole = Whole {
        envelope,
        excerpt,
        actions: actions.into_iter().map(ActionAnswer::from).collect(),
    };
    Ok(Json(answer(letter, Some(whole))))
}

/// As it is, or with another payload when the body holds one.
pub(super) async fn replay(
    State(operations): State<Operations>,
    Path(id): Path<String>,
    Actor(actor): Actor,
    body: Bytes,
) -> Result<Json<ActedOn>, Problem> {
    let id = message_id(&id)?;
    let replay = if body.is_empty() {
        Replay { payload: None }
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "body.invalid", error.to_string()))?
    };
    let ids = match replay.payload {
        None => operations.dead_letters().replay(&[id], &actor).await,
        Some(payload) => {
            let corrected = corrected(&operations, id, &payload).await?;
            let done = operations
                .dead_letter_operations()
                .replay_corrected(&corrected, &actor)
                .await;
            done.map(|done| Vec::from_iter(done.then_some(id)))
        }
    };
    acted_on(ids.map_err(|error| Problem::of(&error))?, id)
}

pub(super) async fn discard(
    State(operations): State<Operations>,
    Path(id): Path<String>,
    Actor(actor): Actor,
) -> Result<Json<ActedOn>, Problem> {
    let id = message_id(&id)?;
    let ids = operations.dead_letters().discard(&[id], &actor).await;
    acted_on(ids.map_err(|error| Problem::of(&error))?, id)
}

/// The letter's task with this payload, if its contract takes it.
async fn corrected(operations: &Operations, id: MessageId, payload: &RawJson) -> Result<TaskEnvelope, Problem> {
    let letter = find(operations, id).await?;
    let envelopes = operations.kit.envelopes();
    let limits = envelopes.codec().limits();
    let task = TaskEnvelope::decode(&letter.body, limits).map_err(|error| {
        let detail = format!("its bytes are no task, so that no payload can be put into them: {error}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "dead_letter.unreadable", detail)
    })?;
    if task.topic != letter.topic {
        let detail = format!(
            "it was on the topic {} but says that it is of {}",
            letter.topic, task.topic
        );
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "dead_letter.unreadable",
            detail,
        ));
    }
    // Limits come first, so that nothing reads what is too deep.
    let payload = RawJson::parse(payload.as_str(), limits)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.code(), error.to_string()))?;
    let corrected = operations.tasks.correct(&task, &payload, envelopes);
    let corrected = corrected.map_err(|error| Problem::of(&error))?;
    corrected
        .encode_within(limits)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.code(), error.to_string()))?;
    Ok(corrected)
}

async fn find(operations: &Operations, id: MessageId) -> Result<DeadLetter, Problem> {
    let letter = operations.dead_letters().find(id).await;
    let letter = letter.map_err(|error| Problem::of(&error))?;
    letter.ok_or_else(|| not_found("dead letter", id))
}

/// What no letter can have is refused, rather than not found.
pub(super) fn check_texts(filter: &DeadLetterFilter) -> Result<(), Problem> {
    for (name, text) in [("code", &filter.code), ("fingerprint", &filter.fingerprint)] {
        let Some(text) = text else { continue };
        if text.is_empty() || text.len() > LONGEST_TEXT || text.contains(char::is_control) {
            let detail = format!("{name}: 1 to {LONGEST_TEXT} bytes of text without control characters");
            return Err(Problem::new(StatusCode::BAD_REQUEST, "query.invalid", detail));
        }
    }
    Ok(())
}

fn acted_on(ids: Vec<MessageId>, id: MessageId) -> Result<Json<ActedOn>, Problem> {
    if ids.is_empty() {
        Err(not_found("dead letter", id))
    } else {
        Ok(Json(ActedOn { ids }))
    }
}

fn answer(letter: DeadLetter, whole: Option<Whole>) -> DeadLetterAnswer {
    let task = letter.task.as_ref();
    DeadLetterAnswer {
        id: letter.id,
        topic: letter.topic,
        task: task.map(|task| task.task.to_string()),
        organization_id: task.and_then(|task| task.tenant.organization_id().cloned()),
        attempts: letter.attempts,
        fingerprint: letter.failure.fingerprint(),
        failure: letter.failure,
        enqueued_at: letter.enqueued_at,
        died_at: letter.died_at,
        first_died_at: letter.first_died_at,
        deaths: letter.deaths,
        body_bytes: letter.body.len(),
        whole,
    }
}

impl From<DeadLetterAction> for ActionAnswer {
    fn from(action: DeadLetterAction) -> Self {
        Self {
            action: action.act,
            actor: action.actor,
            at: action.at,
            letter: action.letter,
            topic: action.topic,
            fingerprint: action.fingerprint,
            died_at: action.died_at,
            bulk_run: action.bulk_run,
            replaced: action
                .replaced
                .and_then(|replaced| serde_json::from_slice(&replaced).ok()),
        }
    }
}
