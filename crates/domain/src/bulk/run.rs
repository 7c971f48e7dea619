//! A bulk run: what was ordered, and how far it is.

use serde::{Deserialize, Serialize};

use crate::bulk::Rate;
use crate::events::{EventCursor, EventSelection};
use crate::ids::MessageId;
use crate::tasks::DeadLetterFilter;
use crate::time::Timestamp;

/// What an operator ordered, and how far it is. Whoever drives it does one step after another; anybody may go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkRun {
    /// Its id; of a replay of events also the replay id, which makes their tasks new ones.
    pub id: MessageId,
    /// What was ordered.
    pub request: BulkRequest,
    /// Who ordered it.
    pub actor: String,
    /// How fast it goes.
    pub rate: Rate,
    /// When it began, by the store's clock. What died or was published later is not part of it.
    pub begun_at: Timestamp,
    /// When it was looked at the last time, by the store's clock.
    pub stepped_at: Timestamp,
    /// Whether it is over.
    pub state: BulkState,
    /// Why it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many there were when it began; `None` when nobody counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<u64>,
    /// How many letters or events are done.
    pub done: u64,
    /// How many tasks events led to.
    #[serde(default)]
    pub tasks: u64,
    /// How many events could not be replayed.
    #[serde(default)]
    pub failed: u64,
    /// Why, of the first few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// When the next one may go.
    pub next_at: Timestamp,
    /// How far it is among the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<BulkCursor>,
}

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum BulkRequest {
    /// Replay the dead letters that fit.
    ReplayDeadLetters {
        /// Which are meant.
        filter: DeadLetterFilter,
    },
    /// Discard the dead letters that fit.
    DiscardDeadLetters {
        /// Which are meant.
        filter: DeadLetterFilter,
    },
    /// Publish again what follows from events.
    ReplayEvents {
        /// Which are meant, and which of their routes.
        selection: EventSelection,
    },
}

/// Whether a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkState {
    /// Something is left to do.
    Going,
    /// Everything is done.
    Done,
    /// It stopped by itself, with a reason.
    Stopped,
}

impl BulkState {
    /// The word it is stored as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Going => "going",
            Self::Done => "done",
            Self::Stopped => "stopped",
        }
    }
}

/// How far a run is among the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkCursor {
    /// After this event of the log.
    Event(EventCursor),
    /// So many of the listed ids are done.
    Listed(usize),
}

impl BulkRun {
    /// A run that begins at `now`.
    pub fn new(id: MessageId, request: BulkRequest, actor: String, rate: Rate, now: Timestamp) -> Self {
        Self {
            id,
            request,
            actor,
            rate,
            begun_at: now,
            stepped_at: now,
            state: BulkState::Going,
            reason: None,
            matched: None,
            done: 0,
            tasks: 0,
            failed: 0,
            problems: Vec::new(),
            next_at: now,
            cursor: None,
        }
    }

    /// Whether it is not over.
    pub const fn is_going(&self) -> bool {
        matches!(self.state, BulkState::Going)
    }
}

impl BulkRequest {
    /// The same text for the same order, on every process: what tells whether two ordered the same.
    pub fn key(&self) -> String {
        // Every part is plain data, so this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}
