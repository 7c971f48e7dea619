//! The scheduler: decides about the slots of schedules that are due, in every process at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aftercommit_domain::failure::{Classified as _, ErrorClass, Failure};
use aftercommit_domain::tasks::{
    DECLARATION_GRACE, KeptSchedule, Reconciled, Schedule, ScheduleId, Schedules, SchedulesError, Tick, TickOutcome,
    TickPlan,
};
use aftercommit_domain::time::Timestamp;
use metrics::{counter, describe_counter, describe_histogram, histogram};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::health::LoopHealth;
use crate::lifecycle::Round;

/// Schedules that are looked at in one round.
const BATCH: u32 = 100;

/// Looks for due slots, and lets the store decide about each once. There is no leader: of all who see a slot, one has it.
pub struct Scheduler {
    schedules: Arc<dyn Schedules>,
    options: SchedulerOptions,
    /// When it said the last time what it declares.
    reconciled: Mutex<Option<Instant>>,
}

/// How the scheduler works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerOptions {
    /// What this process declares. Defaults to nothing.
    pub declared: Vec<Schedule>,
    /// How long what another process declares is kept after it has said so. Defaults to 60 s; zero where no other process can
    /// be. It is said again four times meanwhile.
    pub grace: Duration,
    /// How long it sleeps at most: a schedule that is new, changed or paused is seen after this. Defaults to 1 s.
    pub idle: Duration,
}

impl Default for SchedulerOptions {
    fn default() -> Self {
        Self {
            declared: Vec::new(),
            grace: DECLARATION_GRACE,
            idle: Duration::from_secs(1),
        }
    }
}

impl Scheduler {
    /// A scheduler over these schedules.
    pub fn new(schedules: Arc<dyn Schedules>, options: SchedulerOptions) -> Self {
        describe_counter!(
            "aftercommit_schedule_slots_total",
            "Slots of schedules that were decided about here, by what became of them"
        );
        describe_histogram!(
            "aftercommit_schedule_lag_seconds",
            "Time from a slot to the tick that fired it"
        );
        for outcome in TickOutcome::ALL {
            counter!("aftercommit_schedule_slots_total", "outcome" => outcome.as_str()).increment(0);
        }
        Self {
            schedules,
            options,
            reconciled: Mutex::default(),
        }
    }

    /// Says what this process declares when it is time, decides about what is due, and sleeps until the next slot, but not
    /// long.
    ///
    /// # Errors
    /// The store is away, or refuses a schedule. The other schedules were decided about all the same.
    pub async fn round(&self, health: &LoopHealth, stop: &CancellationToken) -> Result<Round, Failure> {
        // What cannot be declared keeps nothing else from its slot.
        let reconciled = self.reconcile().await;
        let due = self.schedules.due(BATCH).await.map_err(|error| Failure::of(&error))?;
        let mut failure = reconciled.err().map(|error| Failure::of(&error));
        for kept in &due.schedules {
            if stop.is_cancelled() {
                return Ok(Round::Over);
            }
            if let Err(error) = self.decide(kept, due.now).await {
                // Somebody else was there: what is left is seen in the next round.
                if error.class() != ErrorClass::Retryable {
                    tracing::warn!(schedule = %kept.schedule.id, code = error.code(), %error, "a slot was not decided about");
                    failure.get_or_insert(Failure::of(&error));
                }
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        health.succeeded();
        if due.schedules.len() >= BATCH as usize {
            return Ok(Round::Again);
        }
        let until_next = due.next.map_or(self.options.idle, |next| {
            (next - due.now).to_std().unwrap_or_default().min(self.options.idle)
        });
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(Round::Over),
            () = tokio::time::sleep(until_next) => Ok(Round::Again),
        }
    }

    async fn decide(&self, kept: &KeptSchedule, now: Timestamp) -> Result<(), SchedulesError> {
        let Some(plan) = TickPlan::of(kept, now) else {
            return Ok(());
        };
        let ticked = match self.schedules.tick(plan.clone()).await {
            // It would be the same at every slot: to try it again would hold up the others.
            Err(error @ SchedulesError::Limit(_)) => {
                tracing::error!(schedule = %kept.schedule.id, code = error.code(), %error, "a schedule's task cannot be published");
                self.schedules.tick(plan.without_tasks()).await?
            }
            other => other?,
        };
        for tick in ticked.iter().flatten() {
            record(&kept.schedule.id, tick);
        }
        Ok(())
    }

    /// Says what this process declares, if it has not lately.
    async fn reconcile(&self) -> Result<(), SchedulesError> {
        let grace = self.options.grace;
        // Said four times within the time after which another build takes it as said no more.
        let every = if grace.is_zero() { DECLARATION_GRACE } else { grace } / 4;
        let last = *self.reconciled.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|at| at.elapsed() < every) {
            return Ok(());
        }
        let SchedulerOptions { declared, grace, .. } = &self.options;
        let reconciled = self.schedules.reconcile(declared, *grace).await?;
        tell(&reconciled, last.is_none());
        *self.reconciled.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    }
}

fn record(schedule: &ScheduleId, tick: &Tick) {
    counter!("aftercommit_schedule_slots_total", "outcome" => tick.outcome.as_str()).increment(tick.slots);
    match tick.outcome {
        TickOutcome::Fired => {
            let lag = (tick.at - tick.slot).to_std().unwrap_or_default();
            histogram!("aftercommit_schedule_lag_seconds").record(lag.as_secs_f64());
            tracing::debug!(%schedule, slot = %tick.slot, "a slot fired");
        }
        TickOutcome::SkippedOverlap | TickOutcome::SkippedPaused => {
            tracing::info!(%schedule, slot = %tick.slot, slots = tick.slots, outcome = tick.outcome.as_str(), "slots were skipped");
        }
        TickOutcome::Missed => {
            tracing::warn!(%schedule, slot = %tick.slot, slots = tick.slots, "slots were missed");
        }
    }
}

fn tell(reconciled: &Reconciled, is_first: bool) {
    let Reconciled {
        added,
        changed,
        removed,
        differing,
    } = reconciled;
    for (ids, what) in [(added, "added"), (changed, "changed"), (removed, "removed")] {
        for schedule in ids {
            tracing::info!(%schedule, "a declared schedule was {what}");
        }
    }
    for schedule in differing.iter().filter(|_| is_first) {
        tracing::warn!(
            %schedule,
            "another process declared this schedule otherwise a moment ago, or it was made at run time; it stays as it is"
        );
    }
}
