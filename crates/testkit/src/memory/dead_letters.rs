//! The dead letters.

use std::sync::Arc;

use aftercommit_domain::contract::{Limits, TaskEnvelope};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    DeadLetter, DeadLetterAct, DeadLetterAction, DeadLetterFilter, DeadLetters, DeadLettersError,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use super::tasks::Row;
use super::{InMemory, State, list_limit};

/// The letters and what was done to them, oldest first.
#[derive(Default)]
pub(super) struct Letters {
    pub(super) letters: Vec<DeadLetter>,
    pub(super) records: Vec<Record>,
}

/// What was done to a letter, and how often it had died.
pub(super) struct Record {
    pub(super) action: DeadLetterAction,
    pub(super) deaths: u32,
    pub(super) first_died_at: Timestamp,
}

/// Who does what, and in which bulk run.
#[derive(Clone, Copy)]
pub(super) struct By<'a> {
    pub(super) act: DeadLetterAct,
    pub(super) actor: &'a str,
    pub(super) bulk_run: Option<MessageId>,
    pub(super) at: Timestamp,
}

impl Letters {
    /// Keeps a letter; one that died before tells how often and since when.
    pub(super) fn add(&mut self, letter: DeadLetter) {
        let here = self.take(letter.id).map(|old| (old.deaths, old.first_died_at));
        let replayed = || {
            self.records
                .iter()
                .rev()
                .find(|record| record.action.letter == letter.id)
        };
        let before = here.or_else(|| replayed().map(|record| (record.deaths, record.first_died_at)));
        let (deaths, first_died_at) = before.unwrap_or((0, letter.died_at));
        self.letters.push(DeadLetter {
            deaths: deaths.saturating_add(1),
            first_died_at,
            ..letter
        });
    }

    pub(super) fn contains(&self, id: MessageId) -> bool {
        self.find(id).is_some()
    }

    pub(super) fn find(&self, id: MessageId) -> Option<&DeadLetter> {
        self.letters.iter().find(|letter| letter.id == id)
    }

    fn take(&mut self, id: MessageId) -> Option<DeadLetter> {
        let place = self.letters.iter().position(|letter| letter.id == id)?;
        Some(self.letters.remove(place))
    }

    fn record(&mut self, letter: &DeadLetter, by: By<'_>) {
        self.records.push(Record {
            action: DeadLetterAction {
                act: by.act,
                actor: by.actor.to_owned(),
                at: by.at,
                letter: letter.id,
                topic: Some(letter.topic.clone()),
                fingerprint: Some(letter.failure.fingerprint()),
                died_at: Some(letter.died_at),
                replaced: (by.act == DeadLetterAct::Correct).then(|| letter.body.clone()),
                bulk_run: by.bulk_run,
            },
            deaths: letter.deaths,
            first_died_at: letter.first_died_at,
        });
    }
}

impl State {
    /// Does it to the letter, if it is there; `corrected` is what takes its place.
    pub(super) fn act(
        &mut self,
        id: MessageId,
        by: By<'_>,
        corrected: Option<&TaskEnvelope>,
        limits: &Limits,
    ) -> Option<MessageId> {
        let goes_back = by.act != DeadLetterAct::Discard;
        // A task that waits or runs again already keeps its letter until it is over.
        if goes_back && self.tasks.contains(id) {
            return None;
        }
        let letter = self.dead.take(id)?;
        self.dead.record(&letter, by);
        if goes_back {
            self.inbox.renew(id, by.at);
            self.tasks.add(revived(letter, corrected, limits, by.at));
        }
        Some(id)
    }
}

impl InMemory {
    fn act(&self, act: DeadLetterAct, ids: &[MessageId], actor: &str) -> Vec<MessageId> {
        let by = By {
            act,
            actor,
            bulk_run: None,
            at: self.now(),
        };
        let mut state = self.lock();
        let acted = ids.iter().filter_map(|id| state.act(*id, by, None, self.limits()));
        let acted = acted.collect();
        drop(state);
        self.shared.queue_changed.notify_waiters();
        acted
    }
}

#[async_trait]
impl DeadLetters for InMemory {
    async fn add(&self, letter: DeadLetter) -> Result<(), DeadLettersError> {
        self.lock().dead.add(letter);
        Ok(())
    }

    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, DeadLettersError> {
        let state = self.lock();
        let newest_first = state.dead.letters.iter().rev().filter(|letter| filter.fits(letter));
        Ok(newest_first.take(list_limit(filter.limit)).cloned().collect())
    }

    async fn find(&self, id: MessageId) -> Result<Option<DeadLetter>, DeadLettersError> {
        Ok(self.lock().dead.find(id).cloned())
    }

    async fn replay(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        Ok(self.act(DeadLetterAct::Replay, ids, actor))
    }

    async fn discard(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        Ok(self.act(DeadLetterAct::Discard, ids, actor))
    }
}

/// The task of a letter, or what takes its place, with a new series of attempts; bytes that are no task go back as they are.
fn revived(letter: DeadLetter, corrected: Option<&TaskEnvelope>, limits: &Limits, now: Timestamp) -> Row {
    let body = match corrected.cloned().or(letter.task) {
        Some(task) => TaskEnvelope {
            attempt: 1,
            enqueued_at: now,
            not_before: None,
            ..task
        }
        .encode()
        .into_bytes(),
        None => letter.body,
    };
    Row::new(letter.id, letter.topic, Arc::from(body), limits, now)
}
