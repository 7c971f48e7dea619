//! The shorter way from the outbox to the queue.

use std::sync::Arc;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::events::{Claim, LoggedEvent, Marked, OutboxError, OutboxTransfer};
use async_trait::async_trait;

use super::InMemory;
use super::tasks::Row;

#[async_trait]
impl OutboxTransfer for InMemory {
    async fn transfer(&self, rows: Vec<(Claim, TaskEnvelope)>) -> Result<Marked, OutboxError> {
        let now = self.now();
        let marked = {
            let mut state = self.lock();
            // Everything that can fail comes first, so that it is all or nothing.
            let mut tasks = Vec::with_capacity(rows.len());
            for (claim, task) in &rows {
                if !state.outbox.is_current(claim) {
                    return Err(OutboxError::Stale { operation: "transfer" });
                }
                let body = Arc::from(task.encode_within(self.limits())?.into_bytes());
                tasks.push(Row::new(task.id, task.topic.clone(), body, self.limits(), now));
            }
            let claims: Vec<Claim> = rows.iter().map(|(claim, _)| *claim).collect();
            let events = state.outbox.events(&claims, self.limits())?;
            state.events.record(events.into_iter().map(|event| LoggedEvent {
                event,
                published_at: now,
            }));
            for ((_, task), row) in rows.iter().zip(tasks) {
                if task.coalescing.is_some() {
                    state.tasks.coalesce(task.clone(), row.body, self.limits(), now);
                } else if !state.tasks.contains(task.id) {
                    state.tasks.add(row);
                }
            }
            state.outbox.remove(&claims)
        };
        self.shared.queue_changed.notify_waiters();
        self.shared.outbox_changed.notify_waiters();
        Ok(marked)
    }
}
