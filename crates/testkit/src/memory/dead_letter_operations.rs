//! What operators do with the dead letters.

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    DeadLetterAct, DeadLetterAction, DeadLetterBatch, DeadLetterFilter, DeadLetterGroup, DeadLetterOperations,
    DeadLettersError, Fate,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use super::dead_letters::By;
use super::{InMemory, State, list_limit};

#[async_trait]
impl DeadLetterOperations for InMemory {
    async fn count(&self, filter: &DeadLetterFilter) -> Result<u64, DeadLettersError> {
        let state = self.lock();
        Ok(state.dead.letters.iter().filter(|letter| filter.fits(letter)).count() as u64)
    }

    async fn groups(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetterGroup>, DeadLettersError> {
        let state = self.lock();
        let mut groups: Vec<DeadLetterGroup> = Vec::new();
        for letter in state.dead.letters.iter().filter(|letter| filter.fits(letter)) {
            let (fingerprint, died_at) = (letter.failure.fingerprint(), letter.died_at);
            let task = letter
                .task
                .as_ref()
                .map(|task| task.task.to_string())
                .unwrap_or_default();
            let known = groups
                .iter_mut()
                .find(|group| (&group.fingerprint, &group.topic, &group.task) == (&fingerprint, &letter.topic, &task));
            if let Some(group) = known {
                group.letters += 1;
                group.message.clone_from(&letter.failure.message);
                group.first_died_at = group.first_died_at.min(died_at);
                group.last_died_at = group.last_died_at.max(died_at);
            } else {
                groups.push(DeadLetterGroup {
                    fingerprint,
                    topic: letter.topic.clone(),
                    task,
                    code: letter.failure.code.to_string(),
                    message: letter.failure.message.clone(),
                    letters: 1,
                    first_died_at: died_at,
                    last_died_at: died_at,
                });
            }
        }
        groups.sort_by_key(|group| std::cmp::Reverse((group.letters, group.last_died_at)));
        groups.truncate(list_limit(filter.limit));
        Ok(groups)
    }

    async fn replay_corrected(&self, task: &TaskEnvelope, actor: &str) -> Result<bool, DeadLettersError> {
        let by = By {
            act: DeadLetterAct::Correct,
            actor,
            bulk_run: None,
            at: self.now(),
        };
        let replayed = self.lock().act(task.id, by, Some(task), self.limits());
        self.shared.queue_changed.notify_waiters();
        Ok(replayed.is_some())
    }

    async fn act_on_oldest(&self, batch: &DeadLetterBatch) -> Result<Vec<MessageId>, DeadLettersError> {
        let by = By {
            act: batch.act,
            actor: &batch.actor,
            bulk_run: Some(batch.bulk_run),
            at: self.now(),
        };
        let mut state = self.lock();
        let wanted: Vec<MessageId> = state
            .dead
            .letters
            .iter()
            .filter(|letter| batch.filter.fits(letter) && !state.was_acted_on(letter.id, batch.bulk_run))
            .map(|letter| letter.id)
            .collect();
        let acted = wanted
            .into_iter()
            .filter_map(|id| state.act(id, by, None, self.limits()));
        let acted = acted.take(list_limit(Some(batch.limit))).collect();
        drop(state);
        self.shared.queue_changed.notify_waiters();
        Ok(acted)
    }

    async fn fates(&self, bulk_run: MessageId, limit: u32) -> Result<Vec<Fate>, DeadLettersError> {
        let state = self.lock();
        let replayed = state.dead.records.iter().rev();
        let replayed = replayed.filter(|record| record.action.bulk_run == Some(bulk_run));
        let fates = replayed.map(|record| state.fate(record.action.letter));
        Ok(fates.take(list_limit(Some(limit))).collect())
    }

    async fn actions(
        &self,
        letter: Option<MessageId>,
        limit: Option<u32>,
    ) -> Result<Vec<DeadLetterAction>, DeadLettersError> {
        let state = self.lock();
        let newest_first = state.dead.records.iter().rev().map(|record| &record.action);
        let meant = newest_first.filter(|action| letter.is_none_or(|letter| letter == action.letter));
        Ok(meant.take(list_limit(limit)).cloned().collect())
    }

    async fn prune_actions(&self, before: Timestamp, limit: u32) -> Result<u64, DeadLettersError> {
        let mut state = self.lock();
        let records = &mut state.dead.records;
        let old = records.iter().take_while(|record| record.action.at < before).count();
        let old = old.min(usize::try_from(limit).unwrap_or(usize::MAX));
        records.drain(..old);
        Ok(old as u64)
    }
}

impl State {
    fn was_acted_on(&self, letter: MessageId, bulk_run: MessageId) -> bool {
        let mut records = self.dead.records.iter().map(|record| &record.action);
        records.any(|action| action.letter == letter && action.bulk_run == Some(bulk_run))
    }

    fn fate(&self, id: MessageId) -> Fate {
        match self.tasks.find(id) {
            Some(row) if row.attempts > 0 || row.failure.is_some() => Fate::Failed,
            Some(_) => Fate::Open,
            None if self.dead.find(id).is_some() => Fate::Failed,
            None => Fate::Ended,
        }
    }
}
