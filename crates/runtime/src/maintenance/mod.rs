//! What keeps the stores tidy: lost leases are freed, old outcomes forgotten.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::events::Outbox;
use aftercommit_domain::failure::Failure;
use aftercommit_domain::tasks::QueueMaintenance;
use aftercommit_domain::time::Clock;
use metrics::counter;
use tokio_util::sync::CancellationToken;

use crate::lifecycle::Round;

/// Outcomes removed in one step, so that no step holds the store for long.
const PRUNE_BATCH: u32 = 1000;

/// Frees what lost workers and relays held, and forgets old outcomes.
pub struct Rescuer {
    outbox: Arc<dyn Outbox>,
    queue: Arc<dyn QueueMaintenance>,
    clock: Arc<dyn Clock>,
    options: RescuerOptions,
}

/// How the rescuer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RescuerOptions {
    /// How often it looks. Defaults to 15 s: half a lease.
    pub every: Duration,
    /// How long outcomes are kept. Defaults to 14 days.
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
        clock: Arc<dyn Clock>,
        options: RescuerOptions,
    ) -> Self {
        Self {
            outbox,
            queue,
            clock,
            options,
        }
    }

    /// One look, then a wait.
    ///
    /// # Errors
    /// The store is away.
    pub async fn round(&self, stop: &CancellationToken) -> Result<Round, Failure> {
        let rows = self
            .outbox
            .rescue_expired()
            .await
            .map_err(|error| Failure::of(&error))?;
        let tasks = self.queue.rescue_expired().await.map_err(|error| Failure::of(&error))?;
        if rows + tasks > 0 {
            counter!("aftercommit_rescued_total", "what" => "outbox").increment(rows);
            counter!("aftercommit_rescued_total", "what" => "tasks").increment(tasks);
            tracing::warn!(rows, tasks, "freed what a lost worker or relay held");
        }
        let before = self.clock.now() - chrono::Duration::from_std(self.options.keep_outcomes).unwrap_or_default();
        while self
            .queue
            .prune_outcomes(before, PRUNE_BATCH)
            .await
            .map_err(|error| Failure::of(&error))?
            == u64::from(PRUNE_BATCH)
        {
            if stop.is_cancelled() {
                return Ok(Round::Over);
            }
        }
        tokio::select! {
            () = stop.cancelled() => Ok(Round::Over),
            () = tokio::time::sleep(self.options.every) => Ok(Round::Again),
        }
    }
}
