//! The broker behind a queue, as those who operate it see it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::TopicName;
use crate::failure::{Classified, ErrorClass};

/// The broker behind a queue. A queue in a database has none.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Declares what these topics need, and what all topics share. Safe to repeat, from any number of processes.
    ///
    /// # Errors
    /// [`BrokerError::Drifted`] names the first thing that is there and is not as this build would make it; nothing is
    /// changed about it.
    async fn declare(&self, topics: &BTreeSet<TopicName>) -> Result<(), BrokerError>;

    /// What this build declares for these topics, with what the broker says of each.
    async fn topology(&self, topics: &BTreeSet<TopicName>) -> Result<Vec<BrokerPart>, BrokerError>;

    /// Why it cannot be worked with at present, in a few words; `None` when it can.
    fn trouble(&self) -> Option<String>;
}

/// A queue or an exchange that this build declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerPart {
    /// Its name on the broker.
    pub name: String,
    /// What it is.
    pub kind: BrokerPartKind,
    /// What it is for, in a few words.
    pub purpose: String,
    /// How it is declared: arguments by name, in order of the names.
    pub arguments: Vec<(String, String)>,
    /// Where its messages come from or go to, one line each.
    pub bindings: Vec<String>,
    /// Whether the broker has it.
    pub exists: bool,
    /// Messages that wait in it; `None` for an exchange.
    pub messages: Option<u64>,
    /// Who takes from it; `None` for an exchange.
    pub consumers: Option<u64>,
}

/// What a part of a topology is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrokerPartKind {
    /// Takes messages and routes them.
    Exchange,
    /// Keeps messages.
    Queue,
}

/// The broker could not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BrokerError {
    /// It is away, blocked or too slow.
    #[error("the broker is unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What was seen.
        reason: String,
    },
    /// Something there is not as this build would make it.
    #[error("{what} is there, but {difference}; delete it when it is empty, or set another prefix")]
    Drifted {
        /// Which queue or exchange.
        what: String,
        /// What differs: what it has, and what this build says.
        difference: String,
    },
    /// Its login, its virtual host or a permission.
    #[error("the broker refuses {operation}: {reason}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// What the broker said.
        reason: String,
    },
}

impl Classified for BrokerError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Outage,
            Self::Drifted { .. } | Self::Refused { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "broker.unavailable",
            Self::Drifted { .. } => "broker.drifted",
            Self::Refused { .. } => "broker.refused",
        }
    }
}

fn _dyn_compatible(_: Arc<dyn Broker>) {}
