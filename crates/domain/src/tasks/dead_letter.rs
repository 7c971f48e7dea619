//! Tasks that were given up, kept with everything needed to understand and to replay them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::{OrganizationId, TaskEnvelope, TopicName};
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
    /// When.
    pub died_at: Timestamp,
}

/// The store of dead letters.
///
/// **Contract**: at most one letter per id; a task that dies again replaces its letter. `replay` puts the task back on
/// its topic under the same id with a new series of attempts and removes the letter, both or neither; `discard` removes
/// it. Each answers the ids it acted on and records who asked.
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

/// Which letters to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterFilter {
    /// Only of this topic.
    pub topic: Option<TopicName>,
    /// Only of this organization.
    pub organization_id: Option<OrganizationId>,
    /// Only with this failure code.
    pub code: Option<String>,
    /// At most this many; stores cap it at 1000. Defaults to 50.
    pub limit: Option<u32>,
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
