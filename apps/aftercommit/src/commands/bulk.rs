//! Drives a bulk run: one step after another, until it is over.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use aftercommit::domain::bulk::{BulkRequest, BulkRun, BulkState, Rate};
use aftercommit::domain::ids::MessageId;
use serde::{Deserialize, Serialize};

use crate::admin_client::{AdminClient, Answer};
use crate::command_error::CommandError;
use crate::commands::program;
use crate::printable::printable;

/// How long nothing may happen while what was replayed waits for a process to run it.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a step that did not work is asked for again.
const TRIES: u32 = 5;
/// The longest wait between two steps.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What is ordered.
#[derive(Serialize)]
pub(super) struct Order<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<MessageId>,
    #[serde(flatten)]
    pub(super) request: &'a BulkRequest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rate: Option<Rate>,
}

#[derive(Deserialize)]
struct Begun {
    goes_on: bool,
    run: BulkRun,
}

#[derive(Deserialize)]
struct Step {
    run: BulkRun,
    wait_ms: u64,
    waits_for: Option<String>,
}

/// Begins what is ordered, or goes on with it, and drives it to its end.
pub(super) async fn order(client: &AdminClient, order: &Order<'_>) -> Result<BulkRun, CommandError> {
    let Begun { goes_on, run } = client.post("/bulk-runs", order).await?.read()?;
    if goes_on && run.state == BulkState::Going {
        eprintln!(
            "going on with {}, which {} began at {}",
            run.id,
            printable(&run.actor),
            super::shown(run.begun_at)
        );
    }
    drive(client, run).await
}

/// Goes on with a run that somebody began.
pub(super) async fn go_on(client: &AdminClient, id: MessageId) -> Result<BulkRun, CommandError> {
    drive(client, find(client, id).await?).await
}

/// A run.
pub(super) async fn find(client: &AdminClient, id: MessageId) -> Result<BulkRun, CommandError> {
    client.get(&format!("/bulk-runs/{id}"), &[]).await?.read()
}

async fn drive(client: &AdminClient, mut run: BulkRun) -> Result<BulkRun, CommandError> {
    if run.state != BulkState::Going {
        eprintln!("{} was over before: nothing new is done", run.id);
    }
    let mut progress = Progress::new();
    let (mut moved, mut failures) = (Instant::now(), 0);
    while run.state == BulkState::Going {
        let step = client
            .post(&format!("/bulk-runs/{}/step", run.id), &serde_json::json!({}))
            .await;
        let step: Step = match step.and_then(|answer| answer.read()) {
            Ok(step) => step,
            Err(error) => {
                failures += 1;
                if failures == TRIES || error.is_usage() {
                    progress.end();
                    error.print();
                    return Err(CommandError::Bulk(format!("it is not over; {}", how_to_go_on(&run))));
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        failures = 0;
        let waits_for_workers = step.waits_for.as_deref() == Some("workers");
        if step.run.done != run.done || !waits_for_workers {
            moved = Instant::now();
        }
        run = step.run;
        progress.show(&run, waits_for_workers);
        if waits_for_workers && (moved.elapsed() >= PATIENCE || nobody_can_run_it(client)) {
            progress.end();
            return Err(CommandError::Bulk(format!(
                "{} are replayed, and too many of them wait for a process to run them; {}",
                run.done,
                how_to_go_on(&run)
            )));
        }
        if run.state == BulkState::Going {
            tokio::time::sleep(Duration::from_millis(step.wait_ms).min(LONGEST_WAIT)).await;
        }
    }
    progress.end();
    Ok(run)
}

/// Nothing runs while the file is open here.
fn nobody_can_run_it(client: &AdminClient) -> bool {
    !client.is_process_running() && !client.is_shared()
}

/// The text of a run that is over; `Err` when it stopped by itself, after the text was printed.
pub(super) fn finish(run: &BulkRun, text: String, is_json: bool) -> Result<String, CommandError> {
    let text = if is_json { Answer::of(run)?.json() } else { text };
    match run.state {
        BulkState::Done | BulkState::Going => Ok(text),
        BulkState::Stopped => {
            super::print(&text)?;
            Err(CommandError::Bulk(format!(
                "stopped: {}; find out why before you begin again",
                run.reason.as_deref().unwrap_or("it is not said why")
            )))
        }
    }
}

fn how_to_go_on(run: &BulkRun) -> String {
    let id = run.id;
    let command = match run.request {
        BulkRequest::ReplayDeadLetters { .. } => format!("dead-letters replay --run {id}"),
        BulkRequest::DiscardDeadLetters { .. } => format!("dead-letters discard --run {id}"),
        BulkRequest::ReplayEvents { .. } => format!("events replay --replay-id {id}"),
    };
    format!("go on with:\n  {} {command}", program())
}

/// One line that is written over while somebody looks on.
struct Progress {
    is_shown: bool,
    is_terminal: bool,
}

impl Progress {
    fn new() -> Self {
        Self {
            is_shown: false,
            is_terminal: io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, run: &BulkRun, waits_for_workers: bool) {
        if !self.is_terminal {
            return;
        }
        let of = run.matched.map(|matched| format!(" of {matched}")).unwrap_or_default();
        let waits = if waits_for_workers {
            ", waiting for them to run"
        } else {
            ""
        };
        // Progress that cannot be shown is no failure.
        let _ = write!(io::stderr(), "\r\x1b[K{}{of} at {}{waits}", run.done, run.rate);
        let _ = io::stderr().flush();
        self.is_shown = true;
    }

    fn end(&mut self) {
        if self.is_shown {
            eprintln!();
        }
        self.is_shown = false;
    }
}
