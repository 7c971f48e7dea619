//! Schedules as operators see, run, pause and resume them.

use std::time::Duration;

use aftercommit_domain::contract::{Json as RawJson, OrganizationId, ProjectId, ScheduleKey, Tenant};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    KeptSchedule, Misfire, Overlap, PauseEnd, ScheduleFilter, ScheduleId, ScheduleOrigin, SchedulePause,
    SchedulePauseOrder, Tick, TickOutcome,
};
use aftercommit_domain::time::Timestamp;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::http::Problem;
use crate::http::admin::actor::Actor;
use crate::http::admin::{Body, Path, Query};
use crate::kit::Operations;

/// How many slots to come are shown.
const UPCOMING: usize = 5;
/// The longest reason of a pause.
const MOST_REASON: usize = 500;

#[derive(Serialize)]
pub(super) struct SchedulesAnswer {
    schedules: Vec<ScheduleLine>,
}

#[derive(Serialize)]
struct ScheduleLine {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_id: Option<OrganizationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<ProjectId>,
    cron: String,
    zone: &'static str,
    misfire: Misfire,
    overlap: Overlap,
    topic: String,
    task: String,
    version: u16,
    origin: ScheduleOrigin,
    next_slot: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_slot: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_outcome: Option<TickOutcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_task: Option<MessageId>,
    /// While it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pause: Option<SchedulePause>,
}

#[derive(Serialize)]
pub(super) struct ScheduleAnswer {
    #[serde(flatten)]
    line: ScheduleLine,
    payload: RawJson,
    /// The next slots.
    upcoming: Vec<Timestamp>,
}

#[derive(Serialize)]
pub(super) struct TicksAnswer {
    ticks: Vec<Tick>,
}

#[derive(Serialize)]
pub(super) struct ResumedAnswer {
    /// Whether it was paused.
    resumed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    organization_id: Option<OrganizationId>,
    limit: Option<u32>,
}

/// Whose it is; nobody's is the system's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    organization_id: Option<OrganizationId>,
    project_id: Option<ProjectId>,
    limit: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseBody {
    reason: String,
    #[serde(default)]
    until: Option<Timestamp>,
    #[serde(default)]
    for_ms: Option<u64>,
}

pub(super) async fn list(
    State(operations): State<Operations>,
    Query(listing): Query<Listing>,
) -> Result<Json<SchedulesAnswer>, Problem> {
    let filter = ScheduleFilter {
        organization_id: listing.organization_id,
        limit: listing.limit,
    };
    let kept = operations.schedules().list(&filter).await;
    let kept = kept.map_err(|error| Problem::of(&error))?;
    let now = operations.kit.clock().now();
    Ok(Json(SchedulesAnswer {
        schedules: kept.into_iter().map(|kept| ScheduleLine::of(kept, now)).collect(),
    }))
}

pub(super) async fn show(
    State(operations): State<Operations>,
    Path(key): Path<String>,
    Query(whose): Query<Whose>,
) -> Result<Json<ScheduleAnswer>, Problem> {
    let id = whose.schedule(&key)?;
    let kept = operations.schedules().find(&id).await;
    let kept = kept
        .map_err(|error| Problem::of(&error))?
        .ok_or_else(|| not_found(&id))?;
    let timetable = &kept.schedule.timetable;
    let mut upcoming: Vec<Timestamp> = kept.next_slot.into_iter().collect();
    if let Some(next) = kept.next_slot {
        upcoming.extend(timetable.upcoming(next, UPCOMING - 1));
    }
    Ok(Json(ScheduleAnswer {
        payload: kept.schedule.task.payload.clone(),
        upcoming,
        line: ScheduleLine::of(kept, operations.kit.clock().now()),
    }))
}

pub(super) async fn run(
    State(operations): State<Operations>,
    Path(key): Path<String>,
    Query(whose): Query<Whose>,
    Actor(actor): Actor,
) -> Result<(StatusCode, Json<Tick>), Problem> {
    let id = whose.schedule(&key)?;
    let tick = operations.schedules().run_now(&id, &actor).await;
    let tick = tick.map_err(|error| Problem::of(&error))?;
    tracing::info!(schedule = %id, %actor, "a schedule was run by hand");
    Ok((StatusCode::ACCEPTED, Json(tick.ok_or_else(|| not_found(&id))?)))
}

pub(super) async fn pause(
    State(operations): State<Operations>,
    Path(key): Path<String>,
    Query(whose): Query<Whose>,
    Actor(actor): Actor,
    Body(body): Body<PauseBody>,
) -> Result<Json<ScheduleAnswer>, Problem> {
    let id = whose.schedule(&key)?;
    let order = body.order(actor, operations.kit.clock().now())?;
    tracing::info!(schedule = %id, actor = %order.by, "a schedule is paused");
    let paused = operations.schedules().pause(&id, order).await;
    if !paused.map_err(|error| Problem::of(&error))? {
        return Err(not_found(&id));
    }
    show(State(operations), Path(key), Query(whose)).await
}

pub(super) async fn resume(
    State(operations): State<Operations>,
    Path(key): Path<String>,
    Query(whose): Query<Whose>,
    Actor(actor): Actor,
) -> Result<Json<ResumedAnswer>, Problem> {
    let id = whose.schedule(&key)?;
    let resumed = operations.schedules().resume(&id, &actor).await;
    let resumed = resumed.map_err(|error| Problem::of(&error))?;
    if !resumed {
        let found = operations.schedules().find(&id).await;
        found
            .map_err(|error| Problem::of(&error))?
            .ok_or_else(|| not_found(&id))?;
    }
    tracing::info!(schedule = %id, %actor, resumed, "a schedule is resumed");
    Ok(Json(ResumedAnswer { resumed }))
}

pub(super) async fn history(
    State(operations): State<Operations>,
    Path(key): Path<String>,
    Query(whose): Query<Whose>,
) -> Result<Json<TicksAnswer>, Problem> {
    let id = whose.schedule(&key)?;
    let ticks = operations.schedules().history(&id, whose.limit).await;
    let ticks = ticks.map_err(|error| Problem::of(&error))?;
    // Of a schedule that was removed the records are there still.
    if ticks.is_empty() {
        let found = operations.schedules().find(&id).await;
        found
            .map_err(|error| Problem::of(&error))?
            .ok_or_else(|| not_found(&id))?;
    }
    Ok(Json(TicksAnswer { ticks }))
}

impl ScheduleLine {
    fn of(kept: KeptSchedule, now: Timestamp) -> Self {
        let KeptSchedule {
            schedule,
            origin,
            next_slot,
            last,
            last_task,
            pause,
            ..
        } = kept;
        Self {
            key: schedule.id.key.to_string(),
            organization_id: schedule.id.tenant.organization_id().cloned(),
            project_id: schedule.id.tenant.project_id().cloned(),
            cron: schedule.timetable.cron.to_string(),
            zone: schedule.timetable.zone.name(),
            misfire: schedule.misfire,
            overlap: schedule.overlap,
            topic: schedule.task.topic.to_string(),
            task: schedule.task.task.to_string(),
            version: schedule.task.version,
            origin,
            next_slot,
            last_slot: last.map(|(slot, _)| slot),
            last_outcome: last.map(|(_, outcome)| outcome),
            last_task,
            pause: pause.filter(|pause| pause.until.is_none_or(|until| until > now)),
        }
    }
}

impl Whose {
    fn schedule(&self, key: &str) -> Result<ScheduleId, Problem> {
        let tenant = Tenant::from_parts(self.organization_id.clone(), self.project_id.clone());
        let tenant = tenant.ok_or_else(|| {
            let detail = "give the organization of the project";
            Problem::new(StatusCode::BAD_REQUEST, "tenant.organization_missing", detail)
        })?;
        let key = ScheduleKey::new(key);
        let key = key.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "schedule.key", error.to_string()))?;
        Ok(ScheduleId { tenant, key })
    }
}

impl PauseBody {
    fn order(self, by: String, now: Timestamp) -> Result<SchedulePauseOrder, Problem> {
        let refused = |code, detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
        let reason = self.reason.trim().to_owned();
        if reason.is_empty() || reason.len() > MOST_REASON || reason.contains(char::is_control) {
            let detail = format!("say why: 1 to {MOST_REASON} bytes without control characters");
            return Err(refused("pause.reason", detail));
        }
        let until = match (self.until, self.for_ms) {
            (None, None) => PauseEnd::Never,
            (Some(until), None) if until > now => PauseEnd::At(until),
            (None, Some(for_ms)) if for_ms > 0 => PauseEnd::After(Duration::from_millis(for_ms)),
            (Some(_), Some(_)) => return Err(refused("pause.end", "give until or for, not both".into())),
            (Some(_), None) | (None, Some(_)) => {
                return Err(refused("pause.end", "the end of a pause is still to come".into()));
            }
        };
        Ok(SchedulePauseOrder { by, reason, until })
    }
}

fn not_found(id: &ScheduleId) -> Problem {
    let detail = format!("there is no schedule {id}");
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}
