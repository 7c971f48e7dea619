//! What a broker's queue keeps in a database: tasks that need a memory a broker has not.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::contract::{TaskEnvelope, TopicName};
use crate::failure::{Classified, ErrorClass, Failure};

/// The tasks that a broker's queue keeps in a database: the head of an order key while it waits for its retry and those
/// behind it, runs that were lost, waits longer than a broker's. The database's own queue hands them out; a broker's consumer
/// takes from both.
#[async_trait]
pub trait HeldTasks: Send + Sync {
    /// Takes tasks over from the broker, all or none.
    ///
    /// **Contract**: `Ok` means durable. A task whose id is held already is not added again. Tasks of one order key come in
    /// the order of these calls, and in input order within one. Called concurrently. Dropping the call, or losing its answer,
    /// may still hold them.
    async fn hold(&self, tasks: Vec<HeldTask>) -> Result<(), HoldError>;

    /// Which of these orderings of `topic` (see [`TaskEnvelope::ordering`]) have a held task that is not over, and whether
    /// any other has.
    async fn held_keys(&self, topic: &TopicName, orderings: &[String]) -> Result<HeldKeys, HoldError>;
}

/// A task to be held, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldTask {
    /// The envelope in `body`.
    pub task: TaskEnvelope,
    /// The bytes as they came: a newer build may have written what this one does not know.
    pub body: Arc<[u8]>,
    /// Counted attempts so far; those in the envelope are not looked at.
    pub attempts: u32,
    /// Not to be run before this long from now.
    pub wait: Duration,
    /// Why it waits, when it failed.
    pub failure: Option<Failure>,
    /// Runs of it that may have been lost without a result.
    pub lost_runs: u32,
    /// Whether a pause holds it: nobody is handed it before that is over.
    pub is_aside: bool,
}

/// What is held of a topic's order keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeldKeys {
    /// Those asked for that have a task that is not over.
    pub keys: HashSet<String>,
    /// Whether any key of the topic has one, asked for or not.
    pub has_any: bool,
}

/// Tasks could not be held, or it is not known whether they are. Holding them again is safe.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HoldError {
    /// The store is away or too slow.
    #[error("tasks cannot be held ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
    /// The store refuses one of them.
    #[error("the store refuses to hold a task: {reason}")]
    Refused {
        /// What the store said.
        reason: String,
    },
}

impl Classified for HoldError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Outage,
            Self::Refused { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "held_tasks.unavailable",
            Self::Refused { .. } => "held_tasks.refused",
        }
    }
}

fn _dyn_compatible(_: Arc<dyn HeldTasks>) {}
