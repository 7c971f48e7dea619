//! Since when something is seen that is looked at only when somebody asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aftercommit_domain::time::Timestamp;

/// Since when each trouble has been seen: what is looked at only when somebody asks has no time of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeenSince(Arc<Mutex<BTreeMap<&'static str, Timestamp>>>);

impl SeenSince {
    /// Since when it is seen without a break; `now` when it is new.
    pub(super) fn of(&self, trouble: &'static str, is_there: bool, now: Timestamp) -> Timestamp {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_there {
            *seen.entry(trouble).or_insert(now)
        } else {
            seen.remove(trouble);
            now
        }
    }
}
