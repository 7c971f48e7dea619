//! What a relay remembers between two claims: where to begin, and when to look again.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use sqlx::FromRow;
use tokio::time::Instant;

use crate::rest::{rest_after, walks_pause};

/// What is settled is asked this often while walking over everything takes long.
const SETTLED_EVERY: Duration = Duration::from_millis(250);
/// While there is more and more to do, claims go on where they were for at least this.
const FULL_EVERY: Duration = Duration::from_millis(250);

/// Only a matter of speed: forgetting all of it is always right.
#[derive(Debug, Default)]
pub(crate) struct Look {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: u64,
    after_bucket: String,
    /// Up to where each organization's rows were taken. Empty: the next claim walks over everything.
    ends: BTreeMap<String, i64>,
    full_from: Option<Instant>,
    /// The last claim took as much as it could.
    is_busy: bool,
    settled: Settled,
    /// When what is settled was asked last.
    settled_at: Option<Instant>,
    /// Until then claims begin at what is settled, because walking over everything took long.
    whole_from: Option<Instant>,
    due: Option<Instant>,
    /// Until then the next claim can wait.
    rested: Option<Instant>,
}

/// What `outbox_settled` answered last.
#[derive(Debug, Default, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct Settled {
    /// Below this position every row is gone for good or kept aside.
    #[sqlx(rename = "settled_below")]
    pub(crate) below: i64,
    #[sqlx(rename = "settled_drawn")]
    pub(crate) drawn: Option<i64>,
    #[sqlx(rename = "settled_next_writer")]
    pub(crate) next_writer: Option<i64>,
}

/// Where a claim begins.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Start {
    /// Whose turn it was last.
    pub(crate) after_bucket: String,
    /// Organizations that have more, and up to where theirs is taken. Empty: whoever has some is to be found.
    pub(crate) known_buckets: Vec<String>,
    pub(crate) known_ends: Vec<i64>,
    /// Where to stop looking back for what is in front of a row of an order key.
    pub(crate) settled_below: i64,
}

/// How a claim began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    was_known: bool,
    was_whole: bool,
}

impl Start {
    pub(crate) fn begun(&self) -> Begun {
        let was_known = !self.known_buckets.is_empty();
        Begun {
            was_known,
            was_whole: !was_known && self.settled_below == 0,
        }
    }
}

impl State {
    fn spares_walks(&self) -> bool {
        self.whole_from.is_some_and(|from| Instant::now() < from)
    }
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

    pub(crate) fn start(&self) -> Start {
        let Ok(state) = self.state.lock() else {
            return Start::default();
        };
        let (known_buckets, known_ends) = state.ends.iter().map(|(bucket, end)| (bucket.clone(), *end)).unzip();
        Start {
            after_bucket: state.after_bucket.clone(),
            // Rows that were kept aside and given back are found by a claim that walks over everything.
            settled_below: if state.ends.is_empty() && !state.spares_walks() {
                0
            } else {
                state.settled.below
            },
            known_buckets,
            known_ends,
        }
    }

    /// What is to be asked again before a claim while there is much to do, or while walking over everything takes long.
    pub(crate) fn settled(&self) -> Option<Settled> {
        let state = self.state.lock().ok()?;
        let is_old = state.settled_at.is_none_or(|at| at.elapsed() >= SETTLED_EVERY);
        let is_wanted = state.is_busy && state.ends.is_empty() || state.spares_walks() && is_old;
        is_wanted.then(|| state.settled.clone())
    }

    pub(crate) fn note_settled(&self, settled: Settled) {
        if let Ok(mut state) = self.state.lock() {
            (state.settled, state.settled_at) = (settled, Some(Instant::now()));
        }
    }

    /// After a full claim there is more, most likely right behind what was taken: rows of transactions that committed
    /// late, and of organizations that had none, are found by the next claim that walks over everything.
    pub(crate) fn note_claimed<'r>(
        &self,
        start: Begun,
        took: Duration,
        rows: impl Iterator<Item = (&'r str, i64)>,
        is_full: bool,
    ) {
        let Ok(mut state) = self.state.lock() else { return };
        let now = Instant::now();
        let mut ends: BTreeMap<String, i64> = BTreeMap::new();
        for (bucket, position) in rows {
            match ends.get_mut(bucket) {
                Some(end) => *end = position.max(*end),
                None => {
                    ends.insert(bucket.to_owned(), position);
                }
            }
        }
        state.is_busy = is_full;
        state.rested = (!is_full).then(|| now + rest_after(took));
        if start.was_whole {
            state.whole_from = walks_pause(took).map(|pause| now + pause);
        }
        if !is_full && !state.spares_walks() {
            state.settled = Settled::default();
        }
        state.after_bucket = ends.keys().next_back().cloned().unwrap_or_default();
        if !start.was_known {
            state.full_from = Some(now + walks_pause(took).unwrap_or(FULL_EVERY));
        }
        if is_full && state.full_from.is_some_and(|from| now < from) {
            state.ends = ends;
        } else {
            state.ends.clear();
            if !is_full && start.was_known {
                // What this claim did not walk over is not gone.
                state.due = Some(now);
            }
        }
    }

    /// How long the next claim can wait.
    pub(crate) fn rest(&self) -> Duration {
        let until = self.state.lock().ok().and_then(|state| state.rested);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
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
