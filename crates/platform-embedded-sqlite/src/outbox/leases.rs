//! Which outbox rows a relay has, in memory; see `claims` for why that is enough.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aftercommit_domain::events::{Claim, Marked};

use crate::columns::json_list;
use crate::wake::Wake;

/// The claimed rows.
#[derive(Debug, Default)]
pub(crate) struct OutboxLeases {
    /// Held while claiming, so that no two relays read the same rows as free.
    pub(crate) claiming: tokio::sync::Mutex<()>,
    rows: Mutex<HashMap<i64, Lease>>,
    looked_at: AtomicU64,
}

#[derive(Debug)]
struct Lease {
    token: i64,
    expires_at: i64,
    ordering: Option<String>,
    /// Its end is being written, so it does not expire.
    is_writing: bool,
}

impl OutboxLeases {
    /// Notes how much of the relay's wake-ups the look that begins now covers.
    pub(crate) fn note_look(&self, relay: &Wake) {
        self.looked_at.store(relay.seen(), Ordering::SeqCst);
    }

    /// What the last look covered.
    pub(crate) fn last_look(&self) -> u64 {
        self.looked_at.load(Ordering::SeqCst)
    }

    /// The claimed positions and their orderings, as JSON lists.
    pub(crate) fn held(&self) -> (String, String) {
        let rows = self.rows();
        let orderings: HashSet<&str> = rows.values().filter_map(|lease| lease.ordering.as_deref()).collect();
        (
            json_list(rows.keys().copied()),
            serde_json::to_string(&orderings).unwrap_or_default(),
        )
    }

    pub(crate) fn take(&self, position: i64, token: i64, expires_at: i64, ordering: Option<String>) {
        let lease = Lease {
            token,
            expires_at,
            ordering,
            is_writing: false,
        };
        self.rows().insert(position, lease);
    }

    /// Of these claims, those that still hold; from here they do not expire.
    pub(crate) fn begin_writing(&self, claims: impl Iterator<Item = Claim>) -> (Vec<Claim>, Marked) {
        let mut rows = self.rows();
        let mut held = Vec::new();
        let mut marked = Marked::default();
        for claim in claims {
            match rows.get_mut(&claim.position) {
                Some(lease) if lease.token == claim.token.0 && !lease.is_writing => {
                    lease.is_writing = true;
                    held.push(claim);
                    marked.changed += 1;
                }
                Some(_) | None => marked.stale += 1,
            }
        }
        (held, marked)
    }

    /// Frees claims whose end was written; the others hold on until they expire.
    pub(crate) fn end_writing(&self, held: &[Claim], is_written: bool) {
        let mut rows = self.rows();
        for claim in held {
            if is_written {
                rows.remove(&claim.position);
            } else if let Some(lease) = rows.get_mut(&claim.position) {
                lease.is_writing = false;
            }
        }
    }

    /// Frees the claims that expired. Answers how many.
    pub(crate) fn free_expired(&self, now: i64) -> u64 {
        let mut rows = self.rows();
        let before = rows.len();
        rows.retain(|_, lease| lease.is_writing || lease.expires_at > now);
        u64::try_from(before - rows.len()).unwrap_or(u64::MAX)
    }

    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.rows().len()).unwrap_or(u64::MAX)
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<i64, Lease>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
