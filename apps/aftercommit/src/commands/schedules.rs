//! `aftercommit schedules`

use aftercommit::domain::contract::Json;
use aftercommit::domain::ids::MessageId;
use aftercommit::domain::tasks::{Misfire, Overlap, ScheduleOrigin, SchedulePause, Tick, TickOutcome};
use aftercommit::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use url::form_urlencoded::byte_serialize;

use super::{goes_on, rendered, shown};
use crate::admin_client::{AdminClient, Answer};
use crate::cli::{ListSchedules, PauseSchedule, ScheduleHistory, ScheduleName, Schedules};
use crate::command_error::CommandError;
use crate::table::{Fields, Table};

pub(crate) async fn execute(client: &AdminClient, command: Schedules) -> Result<String, CommandError> {
    match command {
        Schedules::List(arguments) => list(client, arguments).await,
        Schedules::Show(name) => {
            let answer = client.get(&path(&name, ""), &whose(&name)).await?;
            rendered(&answer, name.output, describe)
        }
        Schedules::Run(name) => run(client, &name).await,
        Schedules::Pause(arguments) => pause(client, arguments).await,
        Schedules::Resume(name) => resume(client, &name).await,
        Schedules::History(arguments) => history(client, arguments).await,
    }
}

async fn list(client: &AdminClient, arguments: ListSchedules) -> Result<String, CommandError> {
    let query = [
        ("organization_id", arguments.organization.map(|id| id.to_string())),
        ("limit", Some(arguments.limit.to_string())),
    ];
    let answer = client.get("/schedules", &query).await?;
    rendered(&answer, arguments.output, |answer| {
        let Listed { schedules } = answer.read()?;
        let mut table = Table::new(["KEY", "OF", "CRON", "ZONE", "NEXT", "LAST", "PUBLISHES"]);
        for schedule in &schedules {
            table.row([
                &schedule.key,
                &schedule.tenant(),
                &schedule.cron,
                &schedule.zone,
                &schedule.next(),
                &schedule.last(),
                &format!("{}/{}", schedule.topic, schedule.task),
            ]);
        }
        Ok(table.render("no schedules"))
    })
}

fn describe(answer: &Answer) -> Result<String, CommandError> {
    let Shown {
        schedule,
        payload,
        upcoming,
    } = answer.read()?;
    let mut fields = Fields::default();
    fields
        .add("schedule", &schedule.key)
        .add("of", schedule.tenant())
        .add("cron", &schedule.cron)
        .add("zone", &schedule.zone)
        .add("misfire", misfire(schedule.misfire))
        .add(
            "overlap",
            match schedule.overlap {
                Overlap::Skip => "skip",
                Overlap::Allow => "allow",
            },
        )
        .add(
            "publishes",
            format!("{}/{} v{}", schedule.topic, schedule.task, schedule.version),
        )
        .add("payload", payload.as_str())
        .add(
            "origin",
            match schedule.origin {
                ScheduleOrigin::Declared => "declared by the application",
                ScheduleOrigin::MadeAtRunTime => "made at run time",
            },
        )
        .add("last slot", schedule.last())
        .add_some("last task", schedule.last_task.map(|id| id.to_string()))
        .add_some("paused", schedule.pause.as_ref().map(paused));
    let slots: Vec<String> = upcoming.iter().map(|slot| shown(*slot)).collect();
    for (place, slot) in slots.iter().enumerate() {
        fields.add(if place == 0 { "next slots" } else { "" }, slot);
    }
    if slots.is_empty() {
        fields.add("next slots", "none within 50 years");
    }
    Ok(fields.render())
}

async fn run(client: &AdminClient, name: &ScheduleName) -> Result<String, CommandError> {
    let answer = client.post(&path(name, "/run"), &serde_json::json!({})).await?;
    rendered(&answer, name.output, |answer| {
        let tick: Tick = answer.read()?;
        let Some(task) = tick.task else {
            return Ok(format!("skipped: the last task of {} is not over\n", name.key));
        };
        let mut text = format!("published the task {task}\n");
        if !client.is_process_running() {
            text = format!("{text}\n{}", goes_on(client));
        }
        Ok(text)
    })
}

async fn pause(client: &AdminClient, arguments: PauseSchedule) -> Result<String, CommandError> {
    #[derive(Serialize)]
    struct Body {
        reason: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        #[serde(skip_serializing_if = "Option::is_none")]
        for_ms: Option<u64>,
    }
    let PauseSchedule {
        name,
        reason,
        until,
        for_long,
    } = arguments;
    let for_ms = for_long.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let body = Body { reason, until, for_ms };
    let answer = client.post(&path(&name, "/pause"), &body).await?;
    rendered(&answer, name.output, |answer| {
        let Shown { schedule, .. } = answer.read()?;
        let until = match schedule.pause.and_then(|pause| pause.until) {
            Some(until) => format!("until {}", shown(until)),
            None => "until it is resumed".into(),
        };
        Ok(format!("{} is paused {until}\n", schedule.key))
    })
}

async fn resume(client: &AdminClient, name: &ScheduleName) -> Result<String, CommandError> {
    #[derive(Deserialize)]
    struct Resumed {
        resumed: bool,
    }
    let answer = client.post(&path(name, "/resume"), &serde_json::json!({})).await?;
    rendered(&answer, name.output, |answer| {
        let Resumed { resumed } = answer.read()?;
        let what = if resumed { "fires again" } else { "was not paused" };
        Ok(format!("{} {what}\n", name.key))
    })
}

async fn history(client: &AdminClient, arguments: ScheduleHistory) -> Result<String, CommandError> {
    let ScheduleHistory { name, limit } = arguments;
    let mut query = whose(&name);
    query.push(("limit", Some(limit.limit.to_string())));
    let answer = client.get(&path(&name, "/history"), &query).await?;
    rendered(&answer, name.output, |answer| {
        let Ticks { ticks } = answer.read()?;
        let mut table = Table::new(["SLOT", "SLOTS", "OUTCOME", "DECIDED", "TASK", "BY"]);
        for tick in &ticks {
            let slot = if tick.slots == 1 {
                shown(tick.slot)
            } else {
                format!("{} to {}", shown(tick.slot), shown(tick.last_slot))
            };
            table.row([
                &slot,
                &tick.slots.to_string(),
                words(tick.outcome),
                &shown(tick.at),
                &tick.task.map_or_else(|| "-".to_owned(), |task| task.to_string()),
                tick.by.as_deref().unwrap_or("-"),
            ]);
        }
        Ok(table.render("no slot has come yet"))
    })
}

/// The path of a schedule; its tenant is in the query, also of a request with a body.
fn path(name: &ScheduleName, action: &str) -> String {
    // A space in a path is no plus.
    let key: String = byte_serialize(name.key.as_str().as_bytes()).collect();
    let path = format!("/schedules/{}{action}", key.replace('+', "%20"));
    // Requests with a body take no query of their own.
    if action.is_empty() || action == "/history" {
        return path;
    }
    let parts: Vec<String> = whose(name)
        .into_iter()
        .filter_map(|(part, value)| Some((part, value?)))
        .map(|(part, value)| format!("{part}={}", byte_serialize(value.as_bytes()).collect::<String>()))
        .collect();
    if parts.is_empty() {
        path
    } else {
        format!("{path}?{}", parts.join("&"))
    }
}

fn whose(name: &ScheduleName) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("organization_id", name.organization.as_ref().map(ToString::to_string)),
        ("project_id", name.project.as_ref().map(ToString::to_string)),
    ]
}

const fn words(outcome: TickOutcome) -> &'static str {
    match outcome {
        TickOutcome::Fired => "fired",
        TickOutcome::SkippedOverlap => "skipped: the last task was not over",
        TickOutcome::SkippedPaused => "skipped: paused",
        TickOutcome::Missed => "missed",
    }
}

fn misfire(misfire: Misfire) -> String {
    match misfire {
        Misfire::Skip => "skip".into(),
        Misfire::Once => "once".into(),
        Misfire::All { max } => format!("all, {max} at most"),
    }
}

fn paused(pause: &SchedulePause) -> String {
    let until = pause.until.map(|until| format!(", until {}", shown(until)));
    let (since, until) = (shown(pause.since), until.unwrap_or_default());
    format!("by {} since {since}{until}: {}", pause.by, pause.reason)
}

#[derive(Deserialize)]
struct Listed {
    schedules: Vec<Line>,
}

#[derive(Deserialize)]
struct Ticks {
    ticks: Vec<Tick>,
}

#[derive(Deserialize)]
struct Shown {
    #[serde(flatten)]
    schedule: Line,
    payload: Json,
    upcoming: Vec<Timestamp>,
}

#[derive(Deserialize)]
struct Line {
    key: String,
    #[serde(default)]
    organization_id: Option<String>,
    #[serde(default)]
    project_id: Option<String>,
    cron: String,
    zone: String,
    misfire: Misfire,
    overlap: Overlap,
    topic: String,
    task: String,
    version: u16,
    origin: ScheduleOrigin,
    next_slot: Option<Timestamp>,
    #[serde(default)]
    last_slot: Option<Timestamp>,
    #[serde(default)]
    last_outcome: Option<TickOutcome>,
    #[serde(default)]
    last_task: Option<MessageId>,
    #[serde(default)]
    pause: Option<SchedulePause>,
}

impl Line {
    fn tenant(&self) -> String {
        match (&self.organization_id, &self.project_id) {
            (Some(organization), Some(project)) => format!("{organization}/{project}"),
            (Some(organization), None) => organization.clone(),
            (None, _) => "system".into(),
        }
    }

    fn next(&self) -> String {
        match (&self.pause, self.next_slot) {
            (Some(SchedulePause { until: Some(until), .. }), _) => format!("paused until {}", shown(*until)),
            (Some(SchedulePause { until: None, .. }), _) => "paused".into(),
            (None, Some(slot)) => shown(slot),
            (None, None) => "never".into(),
        }
    }

    fn last(&self) -> String {
        match (self.last_slot, self.last_outcome) {
            (Some(slot), Some(outcome)) => format!("{} {}", shown(slot), words(outcome)),
            _ => "-".into(),
        }
    }
}
