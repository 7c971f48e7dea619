//! Events as operators see and emit them.

use aftercommit_domain::contract::Json as RawJson;
use aftercommit_domain::events::{EventFilter, LoggedEvent, OutboxMessage};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::Timestamp;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::Problem;
use crate::http::admin::{Body, Path, Query, message_id, not_found};
use crate::http::cause::RequestCause;
use crate::kit::Operations;

#[derive(Serialize)]
pub(super) struct EventAnswer {
    published_at: Timestamp,
    /// CloudEvents, as it was published; sealed values are sealed.
    event: RawJson,
}

#[derive(Serialize)]
pub(super) struct EventsAnswer {
    events: Vec<EventAnswer>,
}

/// What the command line sends to emit an event.
#[derive(Deserialize)]
pub(super) struct Emit {
    name: String,
    payload: RawJson,
}

#[derive(Serialize)]
pub(super) struct Emitted {
    event_id: MessageId,
}

pub(super) async fn list(
    State(operations): State<Operations>,
    Query(filter): Query<EventFilter>,
) -> Result<Json<EventsAnswer>, Problem> {
    let events = operations
        .event_log()
        .list(&filter)
        .await
        .map_err(|error| Problem::of(&error))?;
    Ok(Json(EventsAnswer {
        events: events.iter().map(answer).collect::<Result<_, _>>()?,
    }))
}

pub(super) async fn show(
    State(operations): State<Operations>,
    Path(id): Path<String>,
) -> Result<Json<EventAnswer>, Problem> {
    let id = message_id(&id)?;
    let event = operations
        .event_log()
        .find(id)
        .await
        .map_err(|error| Problem::of(&error))?;
    answer(&event.ok_or_else(|| not_found("published event", id))?).map(Json)
}

/// Through the outbox, in a transaction of its own.
pub(super) async fn emit(
    State(operations): State<Operations>,
    RequestCause(cause): RequestCause,
    Body(emit): Body<Emit>,
) -> Result<(StatusCode, Json<Emitted>), Problem> {
    let envelopes = operations.kit.envelopes();
    let event = operations
        .catalogue
        .read_input(&emit.name, &emit.payload, envelopes, &cause)
        .map_err(|error| Problem::of(&error))?;
    let event_id = event.id;
    let mut unit = operations
        .kit
        .begin(&event.tenant, &cause)
        .await
        .map_err(|error| Problem::of(&error))?;
    unit.outbox()
        .append(vec![OutboxMessage::Event(event)])
        .await
        .map_err(|error| Problem::of(&error))?;
    unit.commit().await.map_err(|error| Problem::of(&error))?;
    Ok((StatusCode::ACCEPTED, Json(Emitted { event_id })))
}

fn answer(logged: &LoggedEvent) -> Result<EventAnswer, Problem> {
    let event = serde_json::from_str(&logged.event.encode()).map_err(|error| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "event_log.corrupt",
            error.to_string(),
        )
    })?;
    Ok(EventAnswer {
        published_at: logged.published_at,
        event,
    })
}
