//! The handler: notes its run, takes its effect once, and then behaves as it is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aftercommit::StartupError;
use aftercommit::domain::failure::{ErrorClass, Failure};
use aftercommit::prelude::*;
use aftercommit_e2e::trial::{BLOCKED, Behaviour, FAILED, REFRESHES, Run, TOPIC};
use tokio::time::sleep;

use crate::contract::{Refresh, RunTrial, TrialTookEffect};
use crate::journal::Journal;

/// How often it looks for its switch.
const LOOK: Duration = Duration::from_millis(20);

struct Trials {
    kit: Kit,
    journal: Journal,
    switches: PathBuf,
}

struct Refreshes {
    journal: Journal,
}

pub(crate) fn refreshes(journal: &Path) -> Result<Topic, StartupError> {
    let journal = Journal::open(journal).map_err(|error| StartupError::Application(error.to_string()))?;
    Ok(Topic::named(REFRESHES).handle(Refreshes { journal }))
}

#[async_trait]
impl TaskHandler<Refresh> for Refreshes {
    async fn handle(&self, refresh: Refresh, ctx: &TaskContext) -> TaskResult {
        self.journal.note(&run(refresh.number, ctx)).await?;
        completed()
    }
}

pub(crate) fn topic(kit: &Kit, journal: &Path, switches: PathBuf) -> Result<Topic, StartupError> {
    let journal = Journal::open(journal).map_err(|error| StartupError::Application(error.to_string()))?;
    Ok(Topic::named(TOPIC).handle(Trials {
        kit: kit.clone(),
        journal,
        switches,
    }))
}

#[async_trait]
impl TaskHandler<RunTrial> for Trials {
    async fn handle(&self, trial: RunTrial, ctx: &TaskContext) -> TaskResult {
        self.journal.note(&run(trial.trial, ctx)).await?;
        // Half of its time before the effect and half after it, so that a stop finds some of either kind.
        let mut half = Duration::ZERO;
        if let Behaviour::Take { millis } = trial.behaviour {
            half = Duration::from_millis(millis.into()) / 2;
        }
        sleep(half).await;
        self.take_effect(&trial, ctx).await?;
        match trial.behaviour {
            Behaviour::Take { .. } => sleep(half).await,
            Behaviour::Fail => return failed("it always does"),
            Behaviour::FailTimes { times } if ctx.attempt() <= times => return failed("not yet often enough"),
            Behaviour::FailUntilSwitched if !self.is_switched(&trial) => return failed("nobody has switched it"),
            Behaviour::Succeed | Behaviour::FailTimes { .. } | Behaviour::FailUntilSwitched => {}
            Behaviour::HoldUntilSwitched => {
                while !self.is_switched(&trial) {
                    sleep(LOOK).await;
                }
            }
            Behaviour::BlockUntilSwitched => {
                // Nothing that it has woken waits on the thread that it keeps.
                sleep(LOOK).await;
                std::fs::write(self.switch(&trial).with_extension(BLOCKED), "").retryable()?;
                while !self.is_switched(&trial) {
                    std::thread::sleep(LOOK);
                }
            }
            Behaviour::Abort { after_millis } => {
                sleep(Duration::from_millis(after_millis.into())).await;
                std::process::abort();
            }
        }
        completed()
    }
}

impl Trials {
    /// Once, however often the task runs. Unlike a real handler it goes on when an earlier run has done it.
    async fn take_effect(&self, trial: &RunTrial, ctx: &TaskContext) -> Result<(), Stop> {
        let mut unit = self.kit.begin(ctx.tenant(), ctx.cause()).await?;
        match ctx.claim(&mut *unit.inbox()).await {
            Ok(()) => {}
            Err(Stop::Done) => return Ok(()),
            Err(stop) => return Err(stop),
        }
        let effect = TrialTookEffect {
            organization_id: trial.organization_id.clone(),
            project_id: trial.project_id.clone(),
            trial: trial.trial,
        };
        unit.outbox().write(effect).await?;
        unit.commit().await?;
        Ok(())
    }

    fn is_switched(&self, trial: &RunTrial) -> bool {
        self.switch(trial).exists()
    }

    fn switch(&self, trial: &RunTrial) -> PathBuf {
        self.switches.join(trial.trial.to_string())
    }
}

/// A run that begins.
fn run(trial: u32, ctx: &TaskContext) -> Run {
    Run {
        task: ctx.task_id().to_string(),
        trial,
        attempt: ctx.attempt(),
        at: ctx.now().timestamp_millis(),
        process: std::process::id(),
    }
}

fn failed(why: &str) -> TaskResult {
    Err(Stop::Failed {
        failure: Failure::new(FAILED, ErrorClass::Retryable, why),
        retry_after: None,
    })
}
