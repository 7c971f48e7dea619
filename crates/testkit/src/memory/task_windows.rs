//! The waiting tasks of a key, changed when a unit of work commits.

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::tasks::{Reason, TaskKey, TaskWindows, WaitingTask};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::InMemory;
use super::tasks::{RowState, Tasks};

/// What an open unit of work does to waiting tasks. They are not handed out meanwhile; dropped, everything is as it was.
pub(super) struct OpenWindows {
    provider: InMemory,
    changes: Vec<(u64, Change)>,
}

enum Change {
    Cancel(Reason),
    Move(Timestamp),
}

pub(super) struct MemoryTaskWindows<'u> {
    pub(super) tenant: Tenant,
    pub(super) open: &'u mut OpenWindows,
}

impl OpenWindows {
    pub(super) const fn new(provider: InMemory) -> Self {
        Self {
            provider,
            changes: Vec::new(),
        }
    }

    pub(super) fn commit(&mut self) {
        let now = self.provider.now();
        {
            let mut state = self.provider.lock();
            for (place, change) in self.changes.drain(..) {
                let Some(row) = state.tasks.rows.get_mut(&place) else {
                    continue;
                };
                row.is_withheld = false;
                match change {
                    Change::Move(run_at) => row.state = RowState::Waiting { due: Some(run_at) },
                    Change::Cancel(reason) => {
                        let id = row.id;
                        state.tasks.cancel_waiting(id, &reason, now);
                    }
                }
            }
        }
        self.provider.shared.queue_changed.notify_waiters();
    }
}

impl Drop for OpenWindows {
    fn drop(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        {
            let mut state = self.provider.lock();
            for (place, _) in self.changes.drain(..) {
                if let Some(row) = state.tasks.rows.get_mut(&place) {
                    row.is_withheld = false;
                }
            }
        }
        self.provider.shared.queue_changed.notify_waiters();
    }
}

#[async_trait]
impl TaskWindows for MemoryTaskWindows<'_> {
    async fn waiting(&mut self, key: &TaskKey) -> Result<Vec<WaitingTask>, StoreError> {
        key.check_tenant(&self.tenant)?;
        let now = self.open.provider.now();
        let state = self.open.provider.lock();
        let places = self.places(&state.tasks, key);
        let waiting = places.iter().filter_map(|place| {
            let row = state.tasks.rows.get(place)?;
            let moved = self.open.changes.iter().rev().find(|(changed, _)| changed == place);
            let due = match (moved, &row.state) {
                (Some((_, Change::Move(run_at))), _) => Some(*run_at),
                (_, RowState::Waiting { due }) => *due,
                (_, RowState::Running(_)) => None,
            };
            Some(WaitingTask {
                id: row.id,
                due_at: due.unwrap_or(now),
                attempts: row.attempts,
            })
        });
        Ok(waiting.collect())
    }

    async fn cancel(&mut self, key: &TaskKey, reason: &Reason) -> Result<u64, StoreError> {
        self.change(key, || Change::Cancel(reason.clone()))
    }

    async fn move_to(&mut self, key: &TaskKey, run_at: Timestamp) -> Result<u64, StoreError> {
        self.change(key, || Change::Move(run_at))
    }
}

impl MemoryTaskWindows<'_> {
    fn change(&mut self, key: &TaskKey, change: impl Fn() -> Change) -> Result<u64, StoreError> {
        key.check_tenant(&self.tenant)?;
        let provider = self.open.provider.clone();
        let mut state = provider.lock();
        let places = self.places(&state.tasks, key);
        for place in &places {
            if let Some(row) = state.tasks.rows.get_mut(place) {
                row.is_withheld = true;
            }
            self.open.changes.push((*place, change()));
        }
        Ok(places.len() as u64)
    }

    /// Those that wait and were not cancelled here.
    fn places(&self, tasks: &Tasks, key: &TaskKey) -> Vec<u64> {
        let is_cancelled = |place: &u64| {
            let mut changes = self.open.changes.iter();
            changes.any(|(changed, change)| changed == place && matches!(change, Change::Cancel(_)))
        };
        let is_ours = |place: &u64| self.open.changes.iter().any(|(changed, _)| changed == place);
        let key = (key.topic.clone(), key.scope());
        let places = tasks.windows.places(&key);
        places
            .filter(|place| !is_cancelled(place))
            .filter(|place| {
                let row = tasks.rows.get(place);
                row.is_some_and(|row| {
                    matches!(row.state, RowState::Waiting { .. }) && (!row.is_withheld || is_ours(place))
                })
            })
            .collect()
    }
}
