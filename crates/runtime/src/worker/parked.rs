//! What waits for a build that knows it: while processes are exchanged one after the other, another one may.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::Patience;
use aftercommit_domain::time::Timestamp;

/// When this process first looked at each task that it does not know. A task's own age would not do: one that waited long
/// in its queue would be given up at the first look.
pub(super) struct Parked {
    patience: Patience,
    first_looks: Mutex<HashMap<MessageId, Timestamp>>,
}

impl Parked {
    /// Tasks beyond this many are judged by their own age, so that they end too.
    const MOST: usize = 10_000;

    pub(super) fn new(patience: Patience) -> Self {
        Self {
            patience,
            first_looks: Mutex::default(),
        }
    }

    /// When to look at `task` again; `None` when nobody came who knows it.
    pub(super) fn again(&self, task: &TaskEnvelope, now: Timestamp) -> Option<Duration> {
        let mut first_looks = self.first_looks.lock().unwrap_or_else(PoisonError::into_inner);
        if first_looks.len() >= Self::MOST && !first_looks.contains_key(&task.id) {
            // Those that another process took are never seen here again.
            let kept = self.patience.whole * 2;
            first_looks.retain(|_, first| since(*first, now) < kept);
        }
        let first = match first_looks.get(&task.id) {
            Some(first) => *first,
            None if first_looks.len() < Self::MOST => {
                first_looks.insert(task.id, now);
                now
            }
            None => task.not_before.unwrap_or(task.enqueued_at).max(task.enqueued_at),
        };
        let again = self.patience.again(since(first, now));
        if again.is_none() {
            first_looks.remove(&task.id);
        }
        again
    }
}

fn since(first: Timestamp, now: Timestamp) -> Duration {
    now.signed_duration_since(first).to_std().unwrap_or_default()
}
