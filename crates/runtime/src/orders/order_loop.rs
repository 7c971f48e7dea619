//! Asks again and again what people ordered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aftercommit_domain::failure::Failure;
use aftercommit_domain::tasks::{TaskCancellations, TaskPauses};
use aftercommit_domain::unit_of_work::StoreError;
use tokio_util::sync::CancellationToken;

use crate::health::LoopHealth;
use crate::lifecycle::Round;
use crate::orders::Orders;

/// The most orders to cancel that a process keeps; beyond them it asks about each task before it runs it.
const MOST_ORDERS: u32 = 10_000;
/// In so many rounds after a change of the pauses what was set aside is looked at: a worker may hear of the change a moment later
/// than this loop, and set something aside once more.
const AFTER_A_CHANGE: u32 = 10;
/// After so many rounds it is looked at anyhow.
const ANYHOW_AFTER: u32 = 60;
/// Tasks that go on after a pause, in one step.
const RELEASE: u32 = 1000;

/// Asks the stores what is paused and cancelled, and lets go on what no pause holds any more.
pub(crate) struct OrderLoop {
    ports: OrderLoopPorts,
    /// Rounds until tasks that were set aside are looked at again, and those in which they are.
    releasing: Mutex<Releasing>,
}

/// What was set aside is many rows perhaps, and nothing of it may go on while no pause ends.
struct Releasing {
    rounds_left: u32,
    rounds_since: u32,
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
        Self {
            ports,
            releasing: Mutex::new(Releasing {
                rounds_left: AFTER_A_CHANGE,
                rounds_since: 0,
            }),
        }
    }

    fn release_again(&self) {
        self.lock().rounds_left = AFTER_A_CHANGE;
    }

    fn is_to_release(&self) -> bool {
        let mut releasing = self.lock();
        releasing.rounds_since += 1;
        let is_to = releasing.rounds_left > 0 || releasing.rounds_since >= ANYHOW_AFTER;
        if is_to {
            releasing.rounds_left = releasing.rounds_left.saturating_sub(1);
            releasing.rounds_since = 0;
        }
        is_to
    }

    fn lock(&self) -> MutexGuard<'_, Releasing> {
        self.releasing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn release(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        while !stop.is_cancelled() {
            let released = self.ports.pauses.release(RELEASE).await;
            if released.inspect_err(|_| self.release_again())? < u64::from(RELEASE) {
                break;
            }
        }
        Ok(())
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
        // Each whatever becomes of the others: what is over must go on, and what is cancelled must end.
        let listed = pauses.list().await.map(|in_force| {
            if orders.set_pauses(in_force) {
                self.release_again();
            }
        });
        let told = cancellations.outstanding(MOST_ORDERS).await.map(|outstanding| {
            let has_more = u32::try_from(outstanding.len()).unwrap_or(u32::MAX) >= MOST_ORDERS;
            orders.set_cancelled(&outstanding, has_more);
        });
        let released = if self.is_to_release() {
            self.release(stop).await
        } else {
            Ok(())
        };
        for result in [listed, told, released] {
            result.map_err(|error| Failure::of(&error))?;
        }
        health.succeeded();
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(Round::Over),
            () = tokio::time::sleep(*every) => Ok(Round::Again),
        }
    }
}
