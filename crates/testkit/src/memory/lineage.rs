//! Which messages belong together.

use std::collections::BTreeSet;

use aftercommit_domain::contract::CorrelationId;
use aftercommit_domain::events::OutboxMessage;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::lineage::{Lineage, LineageError, Relative, Relatives};
use aftercommit_domain::tasks::TaskInspector;
use async_trait::async_trait;

use super::InMemory;

#[async_trait]
impl Lineage for InMemory {
    async fn find(&self, ids: &[MessageId]) -> Result<Vec<Relative>, LineageError> {
        let mut found = self.all().await?;
        found.retain(|message| ids.contains(&message.id()));
        Ok(found)
    }

    async fn of(&self, correlation: &CorrelationId, limit: u32) -> Result<Relatives, LineageError> {
        let mut messages = self.all().await?;
        messages.retain(|message| message.correlation() == correlation.as_str());
        Ok(Relatives::of(messages, limit))
    }

    async fn coalesced(&self, ids: &[MessageId]) -> Result<Vec<(MessageId, MessageId)>, LineageError> {
        let state = self.lock();
        let into = |id: &MessageId| Some((*id, state.tasks.windows.task_for(*id)?));
        Ok(ids.iter().filter_map(into).collect())
    }
}

impl InMemory {
    async fn all(&self) -> Result<Vec<Relative>, LineageError> {
        let (mut all, ids) = {
            let state = self.lock();
            let waiting = state.outbox.messages();
            let mut all: Vec<Relative> = waiting
                .filter_map(|(raw, set_aside)| {
                    let message = OutboxMessage::from_raw(raw, self.limits()).ok()?;
                    Some(Relative::in_outbox(message, set_aside))
                })
                .collect();
            all.extend(state.events.all().cloned().map(Relative::published));
            let unfinished = state.tasks.rows.values().map(|row| row.id);
            let ended = state.tasks.ended.values().map(|ended| ended.summary.id);
            let dead = state.dead.letters.iter().map(|letter| letter.id);
            (
                all,
                unfinished.chain(ended).chain(dead).collect::<BTreeSet<MessageId>>(),
            )
        };
        for id in ids {
            let found = TaskInspector::find(self, id).await;
            let found = found.map_err(|error| LineageError::Unavailable {
                operation: "find",
                reason: error.to_string(),
            })?;
            all.extend(found.map(|task| {
                let ends = u32::from(task.summary.finished_at.is_some());
                Relative::on_topic(task, ends)
            }));
        }
        Ok(all)
    }
}
