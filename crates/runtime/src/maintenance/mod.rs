//! What keeps the stores tidy: lost leases are freed, old outcomes forgotten.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::events::{EventLog, Outbox};
use aftercommit_domain::failure::{Classified, Failure};
use aftercommit_domain::tasks::QueueMaintenance;
use aftercommit_domain::time::{self, Clock};
use metrics::{counter, describe_counter};
use tokio_util::sync::CancellationToken;

use crate::health::LoopHealth;
use crate::lifecycle::Round;

/// Outcomes removed in one step, so that no step holds the store for long.
const PRUNE_BATCH: u32 = 1000;

/// Frees what lost workers and relays held, and forgets old outcomes.
pub struct Rescuer {
    outbox: Arc<dyn Outbox>,
    queue: Arc<dyn QueueMaintenance>,
    event_log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    options: RescuerOptions,
}

/// How the rescuer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RescuerOptions {
    /// How often it looks. Defaults to 15 s: half a lease.
    pub every: Duration,
    /// How long outcomes and published events are kept. Defaults to 14 days.
    pub keep_outcomes: Duration,
}

impl Default for RescuerOptions {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(15),
            keep_outcomes: Duration::from_hours(14 * 24),
        }
    }
}

impl Rescuer {
    /// A rescuer over these ports.
    pub fn new(
        outbox: Arc<dyn Outbox>,
        queue: Arc<dyn QueueMaintenance>,
        event_log: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        options: RescuerOptions,
    ) -> Self {
        describe_counter!(
            "aftercommit_rescued_total",
            "Rows and tasks freed because the relay or worker that held them was lost"
        );
        Self {
            outbox,
            queue,
            event_log,
            clock,
            options,
        }
    }

    /// One look, then a wait. Tells `health` that it works before it waits.
    ///
    /// # Errors
    /// A store is away. What another store holds was looked after all the same.
    pub async fn round(&self, health: &LoopHealth, stop: &CancellationToken) -> Result<Round, Failure> {
        let rows = self.outbox.rescue_expired().await;
        let tasks = self.queue.rescue_expired().await;
        for (what, freed) in [("outbox", rows.as_ref().ok()), ("tasks", tasks.as_ref().ok())] {
            if let Some(freed) = freed.filter(|freed| **freed > 0) {
                counter!("aftercommit_rescued_total", "what" => what).increment(*freed);
                tracing::warn!(what, freed, "freed what a lost worker or relay held");
            }
        }
        let pruned = self.prune(stop).await;
        rows.map_err(|error| Failure::of(&error))?;
        tasks.map_err(|error| Failure::of(&error))?;
        pruned?;
        health.succeeded();
        tokio::select! {
            () = stop.cancelled() => Ok(Round::Over),
            () = tokio::time::sleep(self.options.every) => Ok(Round::Again),
        }
    }

    /// Forgets old outcomes and events in steps, until none is left or a stop is asked for.
    async fn prune(&self, stop: &CancellationToken) -> Result<(), Failure> {
        let before = time::before(self.clock.now(), self.options.keep_outcomes);
        let step = u64::from(PRUNE_BATCH);
        let of = |error: &dyn Classified| Failure::of(error);
        while !stop.is_cancelled()
            && self
                .queue
                .prune_outcomes(before, PRUNE_BATCH)
                .await
                .map_err(|error| of(&error))?
                >= step
        {}
        while !stop.is_cancelled()
            && self
                .event_log
                .prune(before, PRUNE_BATCH)
                .await
                .map_err(|error| of(&error))?
                >= step
        {}
        Ok(())
    }
}
