//! What a relay remembers between two claims: where to begin, and when to look again.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Claims that begin where the last one ended, before one walks over everything again.
const SHORT_CLAIMS: u32 = 16;

/// Only a matter of speed: forgetting all of it is always right.
#[derive(Debug, Default)]
pub(crate) struct Look {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: u64,
    after_bucket: String,
    from_position: i64,
    short_claims: u32,
    due: Option<Instant>,
}

impl Look {
    /// The wake-ups that were seen before this look.
    pub(crate) fn note_seen(&self, seen: u64) {
        if let Ok(mut state) = self.state.lock() {
            state.seen = seen;
            if state.due.is_some_and(|due| due <= Instant::now()) {
                state.due = None;
            }
        }
    }

    pub(crate) fn seen(&self) -> u64 {
        self.state.lock().map_or(0, |state| state.seen)
    }

    /// Where the next claim begins: after which organization, and from which position on.
    pub(crate) fn start(&self) -> (String, i64) {
        self.state.lock().map_or_else(
            |_| (String::new(), 0),
            |state| (state.after_bucket.clone(), state.from_position),
        )
    }

    /// After a full claim there is more, most likely right behind what was taken: rows of transactions that committed
    /// late are found by the next long claim.
    pub(crate) fn note_claimed<'r>(&self, rows: impl Iterator<Item = (&'r str, i64)>, is_full: bool) {
        let Ok(mut state) = self.state.lock() else { return };
        let mut ends: HashMap<&str, i64> = HashMap::new();
        for (bucket, position) in rows {
            let end = ends.entry(bucket).or_insert(position);
            *end = position.max(*end);
        }
        state.after_bucket = ends
            .keys()
            .max()
            .map_or_else(String::new, |bucket| (*bucket).to_owned());
        if is_full && state.short_claims < SHORT_CLAIMS {
            state.short_claims += 1;
            state.from_position = ends.values().min().copied().unwrap_or(0);
        } else {
            let was_short = state.from_position > 0;
            state.short_claims = 0;
            state.from_position = 0;
            if !is_full && was_short {
                // What a short claim did not see is not gone.
                state.due = Some(Instant::now());
            }
        }
    }

    /// A row waits for its retry for this long.
    pub(crate) fn note_due_in(&self, delay: Duration) {
        if let Ok(mut state) = self.state.lock() {
            let due = Instant::now() + delay;
            state.due = Some(state.due.map_or(due, |known| known.min(due)));
        }
    }

    /// How long until a row is due that this process gave back.
    pub(crate) fn until_due(&self) -> Option<Duration> {
        let due = self.state.lock().ok()?.due?;
        Some(due.saturating_duration_since(Instant::now()))
    }
}
