//! What keeps the stores tidy: lost leases are freed, old outcomes, events, claims and records forgotten.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::bulk::BulkRuns;
use aftercommit_domain::events::{EventLog, Outbox};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::tasks::{
    CANCEL_ORDERS_RETENTION, DEAD_LETTER_ACTIONS_RETENTION, DeadLetterOperations, InboxMaintenance, QueueMaintenance,
    Schedules, TICKS_RETENTION, TaskCancellations,
};
use aftercommit_domain::time::{self, Clock};
use metrics::{counter, describe_counter};
use tokio_util::sync::CancellationToken;

use crate::health::LoopHealth;
use crate::lifecycle::Round;

/// Outcomes or events removed in one step, so that no step holds the store for long.
const PRUNE_BATCH: u32 = 1000;

/// Frees what lost workers and relays held, and forgets old outcomes, events and claims.
pub struct Rescuer {
    ports: RescuerPorts,
    options: RescuerOptions,
}

/// What a rescuer looks after.
pub struct RescuerPorts {
    /// Its expired leases.
    pub outbox: Arc<dyn Outbox>,
    /// Its lost tasks and old outcomes.
    pub queue: Arc<dyn QueueMaintenance>,
    /// Its old events.
    pub event_log: Arc<dyn EventLog>,
    /// Its old claims.
    pub inbox: Arc<dyn InboxMaintenance>,
    /// Its old records of what was done to dead letters.
    pub dead_letters: Arc<dyn DeadLetterOperations>,
    /// Its old orders.
    pub cancellations: Arc<dyn TaskCancellations>,
    /// Its old runs.
    pub bulk_runs: Arc<dyn BulkRuns>,
    /// Its old records of slots.
    pub schedules: Arc<dyn Schedules>,
    /// What tells how old they are.
    pub clock: Arc<dyn Clock>,
}

/// How the rescuer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RescuerOptions {
    /// How often it looks. Defaults to 15 s: half a lease.
    pub every: Duration,
    /// How long outcomes and published events are kept. Defaults to 14 days.
    pub keep_outcomes: Duration,
    /// How long the inbox remembers what was done. Defaults to 14 days.
    pub keep_claims: Duration,
}

impl Default for RescuerOptions {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(15),
            keep_outcomes: Duration::from_hours(14 * 24),
            keep_claims: Duration::from_hours(14 * 24),
        }
    }
}

impl Rescuer {
    /// A rescuer over these ports.
    pub fn new(ports: RescuerPorts, options: RescuerOptions) -> Self {
        describe_counter!(
            "aftercommit_rescued_total",
            "Rows and tasks freed because the relay or worker that held them was lost"
        );
        for what in ["outbox", "tasks"] {
            counter!("aftercommit_rescued_total", "what" => what).increment(0);
        }
        Self { ports, options }
    }

    /// One look, then a wait. Tells `health` that it works before it waits.
    ///
    /// # Errors
    /// A store is away. What another store holds was looked after all the same.
    pub async fn round(&self, health: &LoopHealth, stop: &CancellationToken) -> Result<Round, Failure> {
        let RescuerPorts {
            outbox,
            queue,
            event_log,
            inbox,
            dead_letters,
            cancellations,
            bulk_runs,
            schedules,
            clock,
        } = &self.ports;
        let rows = outbox.rescue_expired().await;
        failpoint!(RESCUER_AFTER_OUTBOX);
        let tasks = queue.rescue_expired().await;
        failpoint!(RESCUER_AFTER_TASKS);
        for (what, freed) in [("outbox", rows.as_ref().ok()), ("tasks", tasks.as_ref().ok())] {
            if let Some(freed) = freed.filter(|freed| **freed > 0) {
                counter!("aftercommit_rescued_total", "what" => what).increment(*freed);
                tracing::warn!(what, freed, "freed what a lost worker or relay held");
            }
        }
        let before = time::before(clock.now(), self.options.keep_outcomes);
        let outcomes = in_steps(stop, || queue.prune_outcomes(before, PRUNE_BATCH)).await;
        let events = in_steps(stop, || event_log.prune(before, PRUNE_BATCH)).await;
        let claimed_before = time::before(clock.now(), self.options.keep_claims);
        let claims = in_steps(stop, || inbox.prune(claimed_before, PRUNE_BATCH)).await;
        let ordered_before = time::before(clock.now(), CANCEL_ORDERS_RETENTION);
        let orders = in_steps(stop, || cancellations.prune_orders(ordered_before, PRUNE_BATCH)).await;
        let done_before = time::before(clock.now(), DEAD_LETTER_ACTIONS_RETENTION);
        let actions = in_steps(stop, || dead_letters.prune_actions(done_before, PRUNE_BATCH)).await;
        let runs = in_steps(stop, || bulk_runs.prune(done_before, PRUNE_BATCH)).await;
        let ticked_before = time::before(clock.now(), TICKS_RETENTION);
        let ticks = in_steps(stop, || schedules.prune(ticked_before, PRUNE_BATCH)).await;
        failpoint!(RESCUER_AFTER_PRUNE?);
        rows.map_err(|error| Failure::of(&error))?;
        tasks.map_err(|error| Failure::of(&error))?;
        outcomes.map_err(|error| Failure::of(&error))?;
        events.map_err(|error| Failure::of(&error))?;
        claims.map_err(|error| Failure::of(&error))?;
        orders.map_err(|error| Failure::of(&error))?;
        actions.map_err(|error| Failure::of(&error))?;
        runs.map_err(|error| Failure::of(&error))?;
        ticks.map_err(|error| Failure::of(&error))?;
        health.succeeded();
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(Round::Over),
            () = tokio::time::sleep(self.options.every) => Ok(Round::Again),
        }
    }
}

/// Forgets what is old in steps, until nothing is left or a stop is asked for.
async fn in_steps<Fut, E>(stop: &CancellationToken, mut prune: impl FnMut() -> Fut) -> Result<(), E>
where
    Fut: Future<Output = Result<u64, E>>,
{
    while !stop.is_cancelled() && prune().await? >= u64::from(PRUNE_BATCH) {}
    Ok(())
}
