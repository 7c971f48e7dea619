//! Which logged events are replayed, and to which of their routes.

use serde::{Deserialize, Serialize};

use crate::events::{DispatchTarget, EventFilter};
use crate::ids::MessageId;
use crate::time::Timestamp;

/// The most ids that may be listed.
pub const MOST_LISTED_EVENTS: usize = 1000;

/// Which events of the log are replayed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventSelection {
    /// Which are meant; its limit is not looked at.
    #[serde(default)]
    pub filter: EventFilter,
    /// Only these, at most [`MOST_LISTED_EVENTS`]; empty for all that fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<MessageId>,
    /// Only what they lead to here; `None` for all of their routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<DispatchTarget>,
}

/// A place in the event log, in the order of publishing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventCursor {
    /// When the event there was published.
    pub published_at: Timestamp,
    /// Its position in the outbox; 0 for one that did not come through it.
    pub sequence: u64,
    /// Its id.
    pub id: MessageId,
}
