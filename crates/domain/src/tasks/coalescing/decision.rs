//! What becomes of one publish, given what is known of its key. Pure: every provider asks here, within the transaction that
//! carries the answer out.

use std::time::Duration;

use crate::ids::MessageId;
use crate::tasks::{CoalescingPolicy, WhenActive};
use crate::time::{self, Timestamp};

/// What is known of a key, as of the transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CoalescingState {
    /// Its task that waits and has not been taken since it was published, or waits for a retry and may be joined.
    pub open: Option<OpenWindow>,
    /// Another unfinished task of it: one that runs, or waits for a retry.
    pub active: Option<MessageId>,
    /// The publish that [`CoalescingPolicy::Once`] still remembers.
    pub once: Option<MessageId>,
}

/// A task that further publishes may be coalesced into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWindow {
    /// The task.
    pub id: MessageId,
    /// When it runs.
    pub due_at: Timestamp,
    /// When the first publish opened it.
    pub opened_at: Timestamp,
}

/// What is to be done with a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoalescingDecision {
    /// It is a task, and from now on the one of its key that is open. What was open before is not any more.
    Open {
        /// When it runs.
        due_at: Timestamp,
        /// For how long [`CoalescingPolicy::Once`] remembers it.
        remembered: Option<Duration>,
    },
    /// It takes the place of the open task, with its own id and payload.
    Replace {
        /// The task it replaces.
        replaced: MessageId,
        /// When it runs.
        due_at: Timestamp,
    },
    /// It adds nothing: this task stands for it.
    Drop {
        /// The task.
        into: MessageId,
    },
}

/// What becomes of a publish at `now` that could run at `not_before`.
///
/// A window that is due has fired, whether or not a worker has taken its task: what is published from then on opens the next
/// one, so that late workers do not change what a policy means. Only [`CoalescingPolicy::WhilePending`] and
/// [`CoalescingPolicy::WhileActive`] go by what became of the task.
pub fn decide(
    policy: &CoalescingPolicy,
    state: &CoalescingState,
    not_before: Option<Timestamp>,
    now: Timestamp,
) -> CoalescingDecision {
    let at_its_time = not_before.map_or(now, |time| time.max(now));
    let open_until_due = state.open.as_ref().filter(|open| open.due_at > now);
    let opens = |due_at| CoalescingDecision::Open {
        due_at,
        remembered: None,
    };
    match *policy {
        CoalescingPolicy::Replace => match open_until_due {
            Some(open) => open.replaced_by(at_its_time),
            None => opens(at_its_time),
        },
        CoalescingPolicy::Once { ttl } => match (state.once, &state.open) {
            (Some(into), _) => CoalescingDecision::Drop { into },
            // It is remembered no more, and still to come.
            (None, Some(open)) => CoalescingDecision::Drop { into: open.id },
            (None, None) => CoalescingDecision::Open {
                due_at: at_its_time,
                remembered: Some(ttl),
            },
        },
        CoalescingPolicy::WhilePending => match &state.open {
            Some(open) => CoalescingDecision::Drop { into: open.id },
            None => opens(at_its_time),
        },
        CoalescingPolicy::WhileActive { then } => match (&state.open, state.active, then) {
            (Some(open), _, WhenActive::Skip) => CoalescingDecision::Drop { into: open.id },
            (Some(open), _, WhenActive::RunAgainOnce) => open.replaced_by(open.due_at),
            (None, Some(into), WhenActive::Skip) => CoalescingDecision::Drop { into },
            (None, Some(_), WhenActive::RunAgainOnce) | (None, None, _) => opens(at_its_time),
        },
        CoalescingPolicy::Debounce { quiet, max_wait } => match open_until_due {
            Some(open) => {
                let quiet_at = time::after(now, quiet);
                let latest = max_wait.map(|max_wait| time::after(open.opened_at, max_wait));
                open.replaced_by(latest.map_or(quiet_at, |latest| quiet_at.min(latest)))
            }
            None => opens(time::after(now, quiet)),
        },
        CoalescingPolicy::Throttle { every } => match open_until_due {
            Some(open) => CoalescingDecision::Drop { into: open.id },
            None => opens(time::after(now, every)),
        },
        CoalescingPolicy::LatestThrottle { every } => match open_until_due {
            Some(open) => open.replaced_by(open.due_at),
            None => opens(time::after(now, every)),
        },
    }
}

impl OpenWindow {
    const fn replaced_by(&self, due_at: Timestamp) -> CoalescingDecision {
        CoalescingDecision::Replace {
            replaced: self.id,
            due_at,
        }
    }
}
