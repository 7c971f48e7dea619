//! Pauses, and what was set aside because of them.

use aftercommit_domain::tasks::{MOST_PAUSES, NewPause, Pause, PauseTarget, TaskPauses};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::InMemory;

/// The pauses, oldest first.
#[derive(Default)]
pub(super) struct Pauses {
    pauses: Vec<Pause>,
}

#[async_trait]
impl TaskPauses for InMemory {
    async fn pause(&self, new: &NewPause) -> Result<Pause, StoreError> {
        let now = self.now();
        let mut state = self.lock();
        let pauses = state.pauses.in_force(now);
        pauses.retain(|pause| pause.target != new.target);
        if pauses.len() >= MOST_PAUSES {
            return Err(StoreError::Refused {
                operation: "pause",
                reason: format!("there are {MOST_PAUSES} pauses already"),
            });
        }
        let pause = new.begun(now);
        pauses.push(pause.clone());
        Ok(pause)
    }

    async fn resume(&self, target: &PauseTarget) -> Result<Option<Pause>, StoreError> {
        let mut state = self.lock();
        let pauses = state.pauses.in_force(self.now());
        let place = pauses.iter().position(|pause| pause.target == *target);
        Ok(place.map(|place| pauses.remove(place)))
    }

    async fn list(&self) -> Result<Vec<Pause>, StoreError> {
        Ok(self.lock().pauses.in_force(self.now()).clone())
    }

    async fn release(&self, limit: u32) -> Result<u64, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let released = {
            let mut state = self.lock();
            let pauses = state.pauses.in_force(self.now()).clone();
            let is_held = |row: &super::tasks::Row| {
                let envelope = row.envelope.as_ref();
                envelope.is_some_and(|task| pauses.iter().any(|pause| pause.holds(task)))
            };
            let free = state
                .tasks
                .rows
                .values_mut()
                .filter(|row| row.is_aside && !is_held(row));
            free.take(limit).map(|row| row.is_aside = false).count()
        };
        if released > 0 {
            self.shared.queue_changed.notify_waiters();
        }
        Ok(released as u64)
    }
}

impl Pauses {
    fn in_force(&mut self, now: Timestamp) -> &mut Vec<Pause> {
        self.pauses.retain(|pause| !pause.is_over(now));
        &mut self.pauses
    }
}
