//! The event log: published events, append-only, for looking up and later for replay.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::{EventEnvelope, EventName, OrganizationId};
use crate::failure::{Classified, ErrorClass};
use crate::ids::MessageId;
use crate::time::Timestamp;

/// Keeps published events.
///
/// **Contract**: `record` keeps each event once, by id, however often it is called; `Ok` means durable. `list` answers
/// newest first.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Keeps events that did not come through the outbox.
    async fn record(&self, events: &[EventEnvelope]) -> Result<(), EventLogError>;

    /// Lists events.
    async fn list(&self, filter: &EventFilter) -> Result<Vec<LoggedEvent>, EventLogError>;

    /// Forgets up to `limit` events published before `before`, oldest first. Answers how many. Durable when it answers.
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, EventLogError>;

    /// One event. `Ok(None)` when there is none.
    async fn find(&self, id: MessageId) -> Result<Option<LoggedEvent>, EventLogError>;
}

/// A kept event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// The event as it was published.
    pub event: EventEnvelope,
    /// When it was published.
    pub published_at: Timestamp,
}

/// Which events to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFilter {
    /// Only of this name.
    pub name: Option<EventName>,
    /// Only of this organization.
    pub organization_id: Option<OrganizationId>,
    /// Only those that happened at or after this time.
    pub since: Option<Timestamp>,
    /// At most this many; stores cap it at 1000. Defaults to 50.
    pub limit: Option<u32>,
}

/// The event log could not do it.
#[derive(Debug, thiserror::Error)]
pub enum EventLogError {
    /// The store is away or too slow.
    #[error("the event log is unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
    /// A row does not hold an event.
    #[error("the event log holds a row that is no event: {reason}")]
    Corrupt {
        /// What was wrong.
        reason: String,
    },
}

impl Classified for EventLogError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Outage,
            Self::Corrupt { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "event_log.unavailable",
            Self::Corrupt { .. } => "event_log.corrupt",
        }
    }
}
