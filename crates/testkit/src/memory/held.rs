//! Tasks held for a broker's queue: they are tasks like the others.

use std::collections::HashSet;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::tasks::{HeldKeys, HeldTask, HeldTasks, HoldError};
use async_trait::async_trait;

use super::InMemory;
use super::tasks::Row;

#[async_trait]
impl HeldTasks for InMemory {
    async fn hold(&self, tasks: Vec<HeldTask>) -> Result<(), HoldError> {
        let now = self.now();
        {
            let mut state = self.lock();
            for held in tasks {
                if !state.tasks.contains(held.task.id) {
                    state.tasks.add(Row::held(held, now));
                }
            }
        }
        self.shared.queue_changed.notify_waiters();
        Ok(())
    }

    async fn held_keys(&self, topic: &TopicName, orderings: &[String]) -> Result<HeldKeys, HoldError> {
        let state = self.lock();
        let held: HashSet<&str> = state.tasks.orderings(topic).collect();
        let asked = orderings.iter().filter(|ordering| held.contains(ordering.as_str()));
        Ok(HeldKeys {
            keys: asked.cloned().collect(),
            has_any: !held.is_empty(),
        })
    }
}
