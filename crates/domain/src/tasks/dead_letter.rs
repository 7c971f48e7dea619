//! Tasks that were given up, kept with everything needed to understand and to replay them.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, TaskEnvelope, TaskName, TopicName};
use crate::failure::{Classified, ErrorClass, Failure};
use crate::ids::MessageId;
use crate::time::Timestamp;

/// A task that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The task's id, or an id of its own when the bytes hold none.
    pub id: MessageId,
    /// The topic it was taken from.
    pub topic: TopicName,
    /// The envelope, when the bytes are one.
    pub task: Option<TaskEnvelope>,
    /// The bytes as they came.
    pub body: Vec<u8>,
    /// Counted attempts, the last one included.
    pub attempts: u32,
    /// Why it was given up.
    pub failure: Failure,
    /// When it was enqueued the first time; when its bytes do not say so, when it came.
    pub enqueued_at: Timestamp,
    /// When it was given up, this last time.
    pub died_at: Timestamp,
    /// When it was given up the first time.
    pub first_died_at: Timestamp,
    /// How often it was given up, this time included. A delivery that a broker repeats may be counted, too.
    pub deaths: u32,
}

impl DeadLetter {
    /// A letter of a task that was not given up before, as far as is known here; the store knows better.
    pub fn new(
        id: MessageId,
        topic: TopicName,
        task: Option<TaskEnvelope>,
        body: Vec<u8>,
        attempts: u32,
        failure: Failure,
        died_at: Timestamp,
    ) -> Self {
        Self {
            id,
            topic,
            enqueued_at: task.as_ref().map_or(died_at, |task| task.first_enqueued_at),
            task,
            body,
            attempts,
            failure,
            died_at,
            first_died_at: died_at,
            deaths: 1,
        }
    }
}

/// The store of dead letters.
///
/// **Contract**: at most one letter per id; a task that dies again replaces its letter, which then tells how often it died
/// and since when. `replay` puts the task back on its topic under the same id with a new series of attempts and removes the
/// letter, both or neither, and what the task's handlers had claimed counts as claimed at that time; `discard` removes it. Each answers the ids it acted on and records who asked. Of several who
/// act on one letter at once, one does. A letter is kept until it is discarded ([`DEAD_LETTER_RETENTION`]).
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Keeps a task that never reached its topic.
    async fn add(&self, letter: DeadLetter) -> Result<(), DeadLettersError>;

    /// Lists letters, newest first.
    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, DeadLettersError>;

    /// One letter. `Ok(None)` when there is none.
    async fn find(&self, id: MessageId) -> Result<Option<DeadLetter>, DeadLettersError>;

    /// Puts tasks back on their topics.
    async fn replay(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError>;

    /// Removes letters for good.
    async fn discard(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError>;
}

/// How long dead letters are kept: `None`, until somebody discards them.
///
/// Work that was given up is not forgotten by itself, and neither is what its handlers did: the inbox keeps the claims of a
/// task as long as there is a letter of it.
pub const DEAD_LETTER_RETENTION: Option<Duration> = None;

/// Which letters are meant. A filter without any part means all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterFilter {
    /// Only of this topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
    /// Only of this task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskName>,
    /// Only of this organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// Only with this failure code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Only with this fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Only those that died at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only those that died at or before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Of a list: at most this many; stores cap it at 1000. Defaults to 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl DeadLetterFilter {
    /// Whether `letter` is meant.
    pub fn fits(&self, letter: &DeadLetter) -> bool {
        let task = letter.task.as_ref();
        let organization = task.and_then(|task| task.tenant.organization_id());
        self.topic.as_ref().is_none_or(|topic| *topic == letter.topic)
            && (self.task.is_none() || self.task.as_ref() == task.map(|task| &task.task))
            && (self.organization_id.is_none() || self.organization_id.as_ref() == organization)
            && self.code.as_ref().is_none_or(|code| *code == letter.failure.code)
            && self
                .fingerprint
                .as_ref()
                .is_none_or(|fingerprint| *fingerprint == letter.failure.fingerprint())
            && self.since.is_none_or(|since| since <= letter.died_at)
            && self.until.is_none_or(|until| letter.died_at <= until)
    }
}

/// The dead letters could not be reached.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeadLettersError {
    /// The store is away or too slow.
    #[error("the dead letters are unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
}

impl Classified for DeadLettersError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Outage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "dead_letters.unavailable",
        }
    }
}
