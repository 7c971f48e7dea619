//! The event log: published events, append-only, for looking up and for replay.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::{EventEnvelope, EventName, OrganizationId};
use crate::events::EventCursor;
use crate::failure::{Classified, ErrorClass};
use crate::ids::MessageId;
use crate::time::Timestamp;

/// Keeps published events.
///
/// **Contract**: `record` keeps each event once, by id, however often it is called; `Ok` means durable. `list` answers
/// newest first; `page` oldest first, in the order of publishing, from after a place on, so that one page after another
/// answers each event once.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Keeps events that did not come through the outbox.
    async fn record(&self, events: &[EventEnvelope]) -> Result<(), EventLogError>;

    /// Lists events.
    async fn list(&self, filter: &EventFilter) -> Result<Vec<LoggedEvent>, EventLogError>;

    /// Up to `limit` events, at most 1000, from after `after` on; the filter's limit is not looked at.
    async fn page(
        &self,
        filter: &EventFilter,
        after: Option<&EventCursor>,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, EventLogError>;

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

impl LoggedEvent {
    /// Its place in the log.
    pub fn cursor(&self) -> EventCursor {
        EventCursor {
            published_at: self.published_at,
            sequence: self.event.sequence.unwrap_or_default(),
            id: self.event.id,
        }
    }
}

/// Which events are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventFilter {
    /// Only of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<EventName>,
    /// Only of this organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// Only those that happened at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only those that happened at or before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Of a list: at most this many; stores cap it at 1000. Defaults to 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl EventFilter {
    /// Whether `event` is meant.
    pub fn fits(&self, event: &EventEnvelope) -> bool {
        self.name.as_ref().is_none_or(|name| *name == event.name)
            && (self.organization_id.is_none() || self.organization_id.as_ref() == event.tenant.organization_id())
            && self.since.is_none_or(|since| since <= event.occurred_at)
            && self.until.is_none_or(|until| event.occurred_at <= until)
    }
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
