//! What a broker's queue hands over to be held.

use std::collections::HashSet;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::{HeldKeys, HeldTask, HeldTasks, HoldError};
use aftercommit_domain::time::after;
use async_trait::async_trait;

use super::InMemory;
use super::tasks::{Row, RowState};

#[async_trait]
impl HeldTasks for InMemory {
    async fn hold(&self, tasks: Vec<HeldTask>) -> Result<(), HoldError> {
        let now = self.now();
        {
            let mut state = self.lock();
            for held in tasks {
                let HeldTask {
                    task,
                    body,
                    attempts,
                    wait,
                    failure,
                    lost_runs,
                } = held;
                if state.tasks.contains(task.id) {
                    continue;
                }
                let due = task.not_before.max((!wait.is_zero()).then(|| after(now, wait)));
                let mut row = Row::new(task.id, task.topic, body, self.limits(), now);
                row.attempts = attempts;
                row.redelivered = lost_runs > 0;
                row.failure = failure;
                row.state = RowState::Waiting { due };
                state.tasks.add(row);
            }
        }
        self.shared.queue_changed.notify_waiters();
        Ok(())
    }

    async fn held_keys(&self, topic: &TopicName, orderings: &[String]) -> Result<HeldKeys, HoldError> {
        let state = self.lock();
        let held: HashSet<&str> = state.tasks.orderings(topic).collect();
        Ok(HeldKeys {
            keys: orderings
                .iter()
                .filter(|ordering| held.contains(ordering.as_str()))
                .cloned()
                .collect(),
            has_any: !held.is_empty(),
        })
    }
}
