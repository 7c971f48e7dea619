//! Orders to cancel tasks.

use std::collections::BTreeMap;

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{CancelOrder, Cancelled, Reason, TaskCancellations, TaskState, Unseen};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use async_trait::async_trait;

use super::tasks::{Ended, Row, RowState, Tasks};
use super::{InMemory, State};

/// The orders by their number.
#[derive(Default)]
pub(super) struct CancelOrders {
    orders: BTreeMap<u64, Given>,
    numbers: u64,
}

#[derive(Clone)]
struct Given {
    order: CancelOrder,
    unseen: Unseen,
    at: Timestamp,
}

#[async_trait]
impl TaskCancellations for InMemory {
    async fn cancel(&self, order: &CancelOrder, unseen: Unseen) -> Result<Cancelled, StoreError> {
        let now = self.now();
        let cancelled = {
            let mut state = self.lock();
            let cancelled = state.cancel(order, unseen, now);
            if matches!(cancelled, Cancelled::Requested | Cancelled::Ended) {
                state.orders.add(order, unseen, now);
            }
            cancelled
        };
        self.shared.queue_changed.notify_waiters();
        Ok(cancelled)
    }

    async fn outstanding(&self, limit: u32) -> Result<Vec<CancelOrder>, StoreError> {
        let now = self.now();
        let mut state = self.lock();
        let numbers: Vec<u64> = state.orders.orders.keys().copied().collect();
        for number in numbers {
            let Some(Given { order, unseen, .. }) = state.orders.orders.get(&number).cloned() else {
                continue;
            };
            state.cancel(&order, unseen, now);
        }
        let newest = state.orders.orders.values().rev().map(|given| given.order.clone());
        Ok(newest.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }

    async fn find(&self, task: MessageId) -> Result<Option<CancelOrder>, StoreError> {
        Ok(self.lock().orders.of(task).cloned())
    }

    async fn prune_orders(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut state = self.lock();
        let orders = state.orders.orders.iter();
        let old = orders.filter(|(_, given)| given.at < before && !state.tasks.contains(given.order.task));
        let old: Vec<u64> = old
            .map(|(number, _)| *number)
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .collect();
        for number in &old {
            state.orders.orders.remove(number);
        }
        Ok(old.len() as u64)
    }
}

impl CancelOrders {
    fn of(&self, task: MessageId) -> Option<&CancelOrder> {
        let mut orders = self.orders.values().map(|given| &given.order);
        orders.find(|order| order.task == task)
    }

    fn add(&mut self, order: &CancelOrder, unseen: Unseen, at: Timestamp) {
        if self.of(order.task).is_none() {
            self.numbers += 1;
            let order = order.clone();
            self.orders.insert(self.numbers, Given { order, unseen, at });
        }
    }
}

impl State {
    fn cancel(&mut self, order: &CancelOrder, unseen: Unseen, now: Timestamp) -> Cancelled {
        let task = order.task;
        match self.tasks.find(task).map(|row| &row.state) {
            Some(RowState::Waiting { .. }) => {
                self.tasks.cancel_waiting(task, &order.outcome(), now);
                Cancelled::Ended
            }
            Some(RowState::Running(_)) => Cancelled::Requested,
            None if self.outbox.has(task) => Cancelled::Requested,
            None if self.dead.contains(task) => Cancelled::Over(TaskState::Dead),
            None => match self.tasks.ended(task) {
                Some(ended) => Cancelled::Over(ended.summary.state),
                None if unseen == Unseen::MayBeElsewhere => Cancelled::Requested,
                None => Cancelled::Unknown,
            },
        }
    }
}

impl Tasks {
    /// Ends a task that waits. Answers whether it did.
    pub(super) fn cancel_waiting(&mut self, id: MessageId, reason: &Reason, now: Timestamp) -> bool {
        let Some(row) = self.remove_waiting(id) else {
            return false;
        };
        self.record_cancelled(row, reason, now);
        true
    }

    fn record_cancelled(&mut self, row: Row, reason: &Reason, now: Timestamp) {
        let mut summary = row.summary(now);
        summary.state = TaskState::Cancelled;
        summary.reason = Some(reason.to_string());
        summary.attempts = row.attempts;
        summary.due_at = None;
        summary.finished_at = Some(now);
        self.record(Ended {
            summary,
            code: None,
            cause: row.envelope.map(|task| task.cause),
        });
    }
}
