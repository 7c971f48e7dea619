//! What operators do with dead letters beyond single ids: see the groups, correct one, act on many, read who did what.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::{TaskEnvelope, TopicName};
use crate::ids::MessageId;
use crate::tasks::{DeadLetterFilter, DeadLettersError};
use crate::time::{Timestamp, days};

/// How long it is kept who did what to dead letters.
pub const DEAD_LETTER_ACTIONS_RETENTION: Duration = days(90);

/// What operators ask of the store of [`DeadLetters`](super::DeadLetters).
///
/// **Contract**: everything that is done to a letter is recorded with who, when and what, in the transaction that does it.
/// `replay_corrected` puts another task in the letter's place on its topic, under the same id with a new series of attempts;
/// the bytes it replaces stay in the record. `act_on_oldest` acts on the oldest letters that fit, and on each letter at most
/// once in one bulk run, also when it dies again meanwhile and however many call at once.
#[async_trait]
pub trait DeadLetterOperations: Send + Sync {
    /// How many letters fit, whatever the filter's limit.
    async fn count(&self, filter: &DeadLetterFilter) -> Result<u64, DeadLettersError>;

    /// The letters that fit, counted by fingerprint, topic and task; the biggest group first, then the newest.
    async fn groups(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetterGroup>, DeadLettersError>;

    /// Replays the letter of `task`'s id as `task`. `false` when there is no such letter.
    async fn replay_corrected(&self, task: &TaskEnvelope, actor: &str) -> Result<bool, DeadLettersError>;

    /// Replays or discards up to `batch.limit` letters. Fewer than that: no other fits.
    async fn act_on_oldest(&self, batch: &DeadLetterBatch) -> Result<Vec<MessageId>, DeadLettersError>;

    /// What became of the letters that a bulk run replayed, the last replayed first, at most `limit` of them.
    async fn fates(&self, bulk_run: MessageId, limit: u32) -> Result<Vec<Fate>, DeadLettersError>;

    /// What was done to letters, newest first; of one letter, or of all.
    async fn actions(
        &self,
        letter: Option<MessageId>,
        limit: Option<u32>,
    ) -> Result<Vec<DeadLetterAction>, DeadLettersError>;

    /// Forgets up to `limit` records of what was done before `before`. Answers how many.
    async fn prune_actions(&self, before: Timestamp, limit: u32) -> Result<u64, DeadLettersError>;
}

/// Letters of one trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterGroup {
    /// What they have in common.
    pub fingerprint: String,
    /// Their topic.
    pub topic: TopicName,
    /// Their task; empty when their bytes hold none.
    pub task: String,
    /// The failure code.
    pub code: String,
    /// The words of the newest one's failure.
    pub message: String,
    /// How many.
    pub letters: u64,
    /// When the first of them died.
    pub first_died_at: Timestamp,
    /// When the last of them died.
    pub last_died_at: Timestamp,
}

/// What a bulk run asks for in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterBatch {
    /// The bulk run.
    pub bulk_run: MessageId,
    /// What is done to them.
    pub act: DeadLetterAct,
    /// Which are meant; its limit is not looked at.
    pub filter: DeadLetterFilter,
    /// Who ordered it.
    pub actor: String,
    /// At most this many.
    pub limit: u32,
}

/// What can be done to a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterAct {
    /// Put back on its topic.
    Replay,
    /// Put back on its topic with another payload.
    Correct,
    /// Removed for good.
    Discard,
}

impl DeadLetterAct {
    /// The word it is stored as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Correct => "correct",
            Self::Discard => "discard",
        }
    }

    /// From the word it is stored as.
    pub fn from_stored(word: &str) -> Option<Self> {
        [Self::Replay, Self::Correct, Self::Discard]
            .into_iter()
            .find(|act| act.as_str() == word)
    }
}

/// What became of a replayed letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It has not run yet, or runs.
    Open,
    /// It failed again: it died, or waits for another attempt.
    Failed,
    /// It is over and no dead letter.
    Ended,
}

/// What somebody did to a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterAction {
    /// What was done.
    pub act: DeadLetterAct,
    /// Who asked for it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// The letter's id.
    pub letter: MessageId,
    /// The topic it was of. `None` in records of an older version, as are the next three.
    pub topic: Option<TopicName>,
    /// What it had failed with.
    pub fingerprint: Option<String>,
    /// When it had died.
    pub died_at: Option<Timestamp>,
    /// The bytes that a correction replaced.
    pub replaced: Option<Vec<u8>>,
    /// The bulk run it was done in.
    pub bulk_run: Option<MessageId>,
}

fn _dyn_compatible(_: Arc<dyn DeadLetterOperations>) {}
