//! What operators order for many dead letters or events, and how far it is.

use aftercommit_domain::bulk::{BulkRequest, BulkRun, Rate, WaitsFor};
use aftercommit_domain::events::{EventSelection, MOST_LISTED_EVENTS};
use aftercommit_domain::ids::MessageId;
use aftercommit_runtime::bulk::EventPreview;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::Problem;
use crate::http::admin::actor::Actor;
use crate::http::admin::dead_letters::check_texts;
use crate::http::admin::{Body, Path, Query, message_id, not_found};
use crate::kit::Operations;

/// What is ordered.
#[derive(Deserialize)]
pub(super) struct Order {
    /// Its id: who orders again under it goes on with it.
    #[serde(default)]
    id: Option<MessageId>,
    #[serde(flatten)]
    request: BulkRequest,
    #[serde(default)]
    rate: Option<Rate>,
}

#[derive(Serialize)]
pub(super) struct BegunAnswer {
    /// Whether it had begun before.
    goes_on: bool,
    run: BulkRun,
}

#[derive(Serialize)]
pub(super) struct StepAnswer {
    run: BulkRun,
    /// When to ask for the next step.
    wait_ms: u64,
    /// `rate` or `workers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct RunsAnswer {
    bulk_runs: Vec<BulkRun>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    limit: Option<u32>,
}

/// How fast it goes when nothing is said.
const fn usual_rate(request: &BulkRequest) -> Rate {
    match request {
        BulkRequest::ReplayDeadLetters { .. } => Rate::per_second(10),
        BulkRequest::ReplayEvents { .. } => Rate::per_second(50),
        // Nothing runs because of it.
        BulkRequest::DiscardDeadLetters { .. } => Rate::per_second(1000),
    }
}

pub(super) async fn begin(
    State(operations): State<Operations>,
    Actor(actor): Actor,
    Body(order): Body<Order>,
) -> Result<(StatusCode, Json<BegunAnswer>), Problem> {
    let Order { id, request, rate } = order;
    match &request {
        BulkRequest::ReplayDeadLetters { filter } | BulkRequest::DiscardDeadLetters { filter } => check_texts(filter)?,
        BulkRequest::ReplayEvents { selection } => check_selection(selection)?,
    }
    let rate = rate.unwrap_or_else(|| usual_rate(&request));
    let begun = operations.bulk_runner().begin(id, request, actor, rate).await;
    let begun = begun.map_err(|error| Problem::of(&error))?;
    Ok((
        StatusCode::ACCEPTED,
        Json(BegunAnswer {
            goes_on: begun.goes_on,
            run: begun.run,
        }),
    ))
}

pub(super) async fn step(
    State(operations): State<Operations>,
    Path(id): Path<String>,
) -> Result<Json<StepAnswer>, Problem> {
    let id = message_id(&id)?;
    let step = operations.bulk_runner().step(id).await;
    let step = step.map_err(|error| Problem::of(&error))?;
    let step = step.ok_or_else(|| not_found("bulk run", id))?;
    Ok(Json(StepAnswer {
        run: step.run,
        // At least one, so that a wait of less is a wait.
        wait_ms: u64::try_from(step.wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX),
        waits_for: step.waits_for.map(|waits_for| match waits_for {
            WaitsFor::Rate => "rate",
            WaitsFor::Workers => "workers",
        }),
    }))
}

pub(super) async fn list(
    State(operations): State<Operations>,
    Query(listing): Query<Listing>,
) -> Result<Json<RunsAnswer>, Problem> {
    let runs = operations.bulk_runs().list(listing.limit).await;
    Ok(Json(RunsAnswer {
        bulk_runs: runs.map_err(|error| Problem::of(&error))?,
    }))
}

pub(super) async fn show(
    State(operations): State<Operations>,
    Path(id): Path<String>,
) -> Result<Json<BulkRun>, Problem> {
    let id = message_id(&id)?;
    let run = operations.bulk_runs().find(id).await;
    let run = run.map_err(|error| Problem::of(&error))?;
    run.ok_or_else(|| not_found("bulk run", id)).map(Json)
}

/// What a replay of events would publish.
pub(super) async fn preview(
    State(operations): State<Operations>,
    Body(selection): Body<EventSelection>,
) -> Result<Json<EventPreview>, Problem> {
    check_selection(&selection)?;
    let preview = operations.bulk_runner().preview(&selection).await;
    preview.map(Json).map_err(|error| Problem::of(&error))
}

fn check_selection(selection: &EventSelection) -> Result<(), Problem> {
    if selection.ids.len() > MOST_LISTED_EVENTS {
        let detail = format!(
            "{} ids are listed, at most {MOST_LISTED_EVENTS} may be",
            selection.ids.len()
        );
        return Err(Problem::new(StatusCode::BAD_REQUEST, "body.invalid", detail));
    }
    // Whatever was published since the beginning is nobody's wish by leaving everything out.
    if selection.ids.is_empty() && selection.filter.name.is_none() {
        let detail = "name the event, or list ids";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "body.invalid", detail));
    }
    Ok(())
}
