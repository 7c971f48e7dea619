//! The dead letters, and who acted on them.

use std::sync::Arc;

use aftercommit_domain::contract::{Limits, TaskEnvelope};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetter, DeadLetterFilter, DeadLetters, DeadLettersError};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use super::tasks::Row;
use super::{InMemory, list_limit};

/// The letters, oldest first.
#[derive(Default)]
pub(super) struct Letters {
    pub(super) letters: Vec<DeadLetter>,
    actions: Vec<DeadLetterAction>,
}

/// What someone did with dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterAction {
    /// What was done.
    pub kind: DeadLetterActionKind,
    /// Who asked.
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// The letters it was done to.
    pub ids: Vec<MessageId>,
}

/// What can be done with dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterActionKind {
    /// Put back on their topics.
    Replay,
    /// Removed for good.
    Discard,
}

impl Letters {
    pub(super) fn add(&mut self, letter: DeadLetter) {
        self.take(letter.id);
        self.letters.push(letter);
    }

    pub(super) fn find(&self, id: MessageId) -> Option<&DeadLetter> {
        self.letters.iter().find(|letter| letter.id == id)
    }

    fn take(&mut self, id: MessageId) -> Option<DeadLetter> {
        let place = self.letters.iter().position(|letter| letter.id == id)?;
        Some(self.letters.remove(place))
    }
}

impl InMemory {
    /// Who replayed and discarded dead letters, oldest first.
    pub fn dead_letter_actions(&self) -> Vec<DeadLetterAction> {
        self.lock().dead.actions.clone()
    }

    fn remember(&self, kind: DeadLetterActionKind, actor: &str, ids: &[MessageId]) {
        let action = DeadLetterAction {
            kind,
            actor: actor.to_owned(),
            at: self.now(),
            ids: ids.to_vec(),
        };
        self.lock().dead.actions.push(action);
    }
}

#[async_trait]
impl DeadLetters for InMemory {
    async fn add(&self, letter: DeadLetter) -> Result<(), DeadLettersError> {
        self.lock().dead.add(letter);
        Ok(())
    }

    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, DeadLettersError> {
        let fits = |letter: &&DeadLetter| {
            let organization = letter.task.as_ref().and_then(|task| task.tenant.organization_id());
            filter.topic.as_ref().is_none_or(|topic| *topic == letter.topic)
                && (filter.organization_id.is_none() || filter.organization_id.as_ref() == organization)
                && filter.code.as_ref().is_none_or(|code| *code == letter.failure.code)
        };
        let state = self.lock();
        let newest_first = state.dead.letters.iter().rev().filter(fits);
        Ok(newest_first.take(list_limit(filter.limit)).cloned().collect())
    }

    async fn find(&self, id: MessageId) -> Result<Option<DeadLetter>, DeadLettersError> {
        Ok(self.lock().dead.find(id).cloned())
    }

    async fn replay(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        let now = self.now();
        let mut replayed = Vec::new();
        {
            let mut state = self.lock();
            for id in ids {
                // A task that waits or runs again already keeps its letter until it is over.
                if state.tasks.contains(*id) {
                    continue;
                }
                if let Some(letter) = state.dead.take(*id) {
                    state.tasks.add(revived(letter, self.limits(), now));
                    replayed.push(*id);
                }
            }
        }
        self.remember(DeadLetterActionKind::Replay, actor, &replayed);
        self.shared.queue_changed.notify_waiters();
        Ok(replayed)
    }

    async fn discard(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        let discarded: Vec<MessageId> = {
            let mut state = self.lock();
            ids.iter()
                .copied()
                .filter(|id| state.dead.take(*id).is_some())
                .collect()
        };
        self.remember(DeadLetterActionKind::Discard, actor, &discarded);
        Ok(discarded)
    }
}

/// The task of a letter with a new series of attempts; bytes that are no task go back as they are.
fn revived(letter: DeadLetter, limits: &Limits, now: Timestamp) -> Row {
    let body = match letter.task {
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
