//! The queue's publishing side and its upkeep.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    ConsumeError, PublishError, Published, QueueCapabilities, QueueMaintenance, QueuePublisher,
};
use aftercommit_domain::time::{Timestamp, days};
use async_trait::async_trait;

use super::InMemory;
use super::tasks::Row;

#[async_trait]
impl QueuePublisher for InMemory {
    async fn publish(&self, messages: Vec<TaskEnvelope>) -> Vec<Result<Published, PublishError>> {
        let now = self.now();
        let results = {
            let mut state = self.lock();
            let mut failed: HashSet<(TopicName, String)> = HashSet::new();
            let mut results = Vec::with_capacity(messages.len());
            for message in messages {
                let order = message.ordering().map(|ordering| (message.topic.clone(), ordering));
                if order.as_ref().is_some_and(|order| failed.contains(order)) {
                    results.push(Err(PublishError::Blocked));
                    continue;
                }
                let result = match message.encode_within(self.limits()) {
                    Err(limit) => {
                        failed.extend(order);
                        Err(limit.into())
                    }
                    Ok(text) if message.coalescing.is_some() => {
                        let (id, body) = (message.id, Arc::from(text.into_bytes()));
                        let coalesced = state.tasks.coalesce(message, body, self.limits(), now);
                        Ok(coalesced.unwrap_or(Published::AlreadyThere(id)))
                    }
                    Ok(_) if state.tasks.contains(message.id) => Ok(Published::AlreadyThere(message.id)),
                    Ok(text) => {
                        let body = Arc::from(text.into_bytes());
                        let row = Row::new(message.id, message.topic, body, self.limits(), now);
                        state.tasks.add(row);
                        Ok(Published::Enqueued(message.id))
                    }
                };
                results.push(result);
            }
            results
        };
        self.shared.queue_changed.notify_waiters();
        results
    }

    fn capabilities(&self) -> QueueCapabilities {
        QueueCapabilities {
            // As durable as anything in here: for as long as the process lives.
            durable_settle: true,
            deduplicates: true,
            holds_order_over_retries: true,
            keeps_order_keys_on_one_consumer: false,
            coalesces: true,
            shows_each_task: true,
            longest_delay: days(3650),
        }
    }
}

impl InMemory {
    /// Puts bytes on a topic that may be no envelope, as a foreign producer could. Answers the id they are known by.
    pub fn publish_raw(&self, topic: &TopicName, body: &[u8]) -> MessageId {
        let decoded = TaskEnvelope::decode(body, self.limits()).ok();
        let id = decoded.map_or_else(|| self.new_id(), |task| task.id);
        let row = Row::new(id, topic.clone(), Arc::from(body), self.limits(), self.now());
        {
            let mut state = self.lock();
            if !state.tasks.contains(id) {
                state.tasks.add(row);
            }
        }
        self.shared.queue_changed.notify_waiters();
        id
    }
}

#[async_trait]
impl QueueMaintenance for InMemory {
    async fn rescue_expired(&self) -> Result<u64, ConsumeError> {
        let freed = self.lock().tasks.free_expired(self.now());
        self.shared.queue_changed.notify_waiters();
        Ok(freed)
    }

    async fn prune_outcomes(&self, before: Timestamp, limit: u32) -> Result<u64, ConsumeError> {
        let mut state = self.lock();
        let is_old = |finished_at: Option<Timestamp>| finished_at.is_some_and(|time| time < before);
        let old: Vec<MessageId> = state
            .tasks
            .ended
            .values()
            .filter(|ended| is_old(ended.summary.finished_at))
            .map(|ended| ended.summary.id)
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .collect();
        for id in &old {
            state.tasks.forget(*id);
        }
        Ok(old.len() as u64)
    }
}

/// Without a due task or lease, a waiting consumer looks again this often; nothing relies on it.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(1);
