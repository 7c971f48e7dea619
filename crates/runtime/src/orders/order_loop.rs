//! Asks again and again what people ordered.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::failure::Failure;
use aftercommit_domain::tasks::{TaskCancellations, TaskPauses};
use tokio_util::sync::CancellationToken;

use crate::health::LoopHealth;
use crate::lifecycle::Round;
use crate::orders::Orders;

/// The most orders to cancel that a process keeps; beyond them it asks about each task before it runs it.
const MOST_ORDERS: u32 = 10_000;
/// Tasks that go on after a pause, in one step.
const RELEASE: u32 = 1000;

/// Asks the stores what is paused and cancelled, and lets go on what no pause holds any more.
pub(crate) struct OrderLoop {
    ports: OrderLoopPorts,
}

/// What it needs.
pub(crate) struct OrderLoopPorts {
    /// Where orders to cancel are kept.
    pub(crate) cancellations: Arc<dyn TaskCancellations>,
    /// Where pauses are kept.
    pub(crate) pauses: Arc<dyn TaskPauses>,
    /// Who keeps to them.
    pub(crate) orders: Arc<Orders>,
    /// How often it asks.
    pub(crate) every: Duration,
}

impl OrderLoop {
    pub(crate) const fn new(ports: OrderLoopPorts) -> Self {
        Self { ports }
    }

    /// Asks once, then waits. Tells `health` that it works before it waits.
    ///
    /// # Errors
    /// A store is away. Until it is back, what was known holds.
    pub(crate) async fn round(&self, health: &LoopHealth, stop: &CancellationToken) -> Result<Round, Failure> {
        let OrderLoopPorts {
            cancellations,
            pauses,
            orders,
            every,
        } = &self.ports;
        let in_force = pauses.list().await.map_err(|error| Failure::of(&error))?;
        orders.set_pauses(in_force);
        let outstanding = cancellations.outstanding(MOST_ORDERS).await;
        let outstanding = outstanding.map_err(|error| Failure::of(&error))?;
        let has_more = u32::try_from(outstanding.len()).unwrap_or(u32::MAX) >= MOST_ORDERS;
        orders.set_cancelled(&outstanding, has_more);
        while !stop.is_cancelled() {
            let released = pauses.release(RELEASE).await.map_err(|error| Failure::of(&error))?;
            if released < u64::from(RELEASE) {
                break;
            }
        }
        health.succeeded();
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(Round::Over),
            () = tokio::time::sleep(*every) => Ok(Round::Again),
        }
    }
}
