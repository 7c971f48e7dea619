//! Who has which task: the leases of this process, in memory.
//!
//! The lock file makes this process the only one that opens the database, so a claim need not be written: it is a read,
//! and a note here. A lease has no end while its delivery is in someone's hands and its consumer lives or was stopped in
//! order; from then on it runs out after the time the consumer asked for. So a laptop that slept, or a clock that was set, frees nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aftercommit_domain::contract::TopicName;

use crate::columns::json_list;
use crate::run_sheet::Place;
use crate::wake::Wake;

/// A task that lost this many runs in a row is a suspect: one at a time is handed out, so that each further death makes one more
/// task at most that is to run alone.
pub(crate) const SUSPECT_AFTER: i64 = 2;
/// One that lost this many is to run with nothing beside it, so that the next loss tells whether it was the cause.
pub(crate) const ALONE_AFTER: i64 = 3;

/// The topics of this process.
#[derive(Debug)]
pub(crate) struct Topics {
    topics: Mutex<HashMap<TopicName, Arc<Topic>>>,
    tokens: AtomicI64,
    consumers: AtomicU64,
    /// Whether a suspect is being run.
    has_suspect: AtomicBool,
}

/// Who has what of one topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: TopicName,
    /// Bumped when a task may have become claimable.
    pub(crate) wake: Wake,
    /// Held while claiming, so that no two consumers read the same rows as free.
    pub(crate) claiming: tokio::sync::Mutex<()>,
    held: Mutex<HashMap<i64, Held>>,
}

#[derive(Debug)]
struct Held {
    token: i64,
    consumer: u64,
    stage: Stage,
    /// When the lease runs out; `None` while someone has it.
    expires_at: Option<i64>,
    is_suspect: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Claimed and not handed out.
    Buffered,
    /// Handed out.
    Running(Place),
    /// Its end is being written.
    Settling(Place),
    /// Its end could not be written.
    Unsettled(Place),
    /// An open transaction changes it: it is handed to nobody.
    Withheld,
    /// It was, and a claim that read its row before may still be on its way. Forgotten at the next one.
    WasWithheld,
}

/// A task whose lease ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) seq: i64,
    pub(crate) token: i64,
    /// Whether a run was lost: it was handed out, and never settled.
    pub(crate) is_lost: bool,
}

impl Topics {
    /// `first_token` differs from process to process, so that a token of an earlier one fits nothing.
    pub(crate) fn new(first_token: i64) -> Self {
        Self {
            topics: Mutex::default(),
            tokens: AtomicI64::new(first_token),
            consumers: AtomicU64::new(0),
            has_suspect: AtomicBool::new(false),
        }
    }

    /// The topic of this name.
    pub(crate) fn topic(&self, name: &TopicName) -> Arc<Topic> {
        let mut topics = lock(&self.topics);
        let topic = topics.entry(name.clone()).or_insert_with(|| {
            Arc::new(Topic {
                name: name.clone(),
                wake: Wake::default(),
                claiming: tokio::sync::Mutex::default(),
                held: Mutex::default(),
            })
        });
        Arc::clone(topic)
    }

    /// Wakes the consumers of a topic, if there are any.
    pub(crate) fn wake(&self, name: &TopicName) {
        if let Some(topic) = lock(&self.topics).get(name) {
            topic.wake.bump();
        }
    }

    /// Wakes every consumer.
    pub(crate) fn wake_all(&self) {
        lock(&self.topics).values().for_each(|topic| topic.wake.bump());
    }

    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        lock(&self.topics).values().cloned().collect()
    }

    pub(crate) fn next_token(&self) -> i64 {
        self.tokens.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn next_consumer(&self) -> u64 {
        self.consumers.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a suspect may be claimed now.
    pub(crate) fn may_run_suspect(&self) -> bool {
        !self.has_suspect.load(Ordering::SeqCst)
    }

    fn suspect_is_over(&self) {
        self.has_suspect.store(false, Ordering::SeqCst);
        self.wake_all();
    }
}

impl Topic {
    /// The tasks someone has, as a JSON list. Under the turn to claim.
    pub(crate) fn held(&self) -> String {
        let mut held = lock(&self.held);
        held.retain(|_, held| held.stage != Stage::WasWithheld);
        json_list(held.keys().copied())
    }

    /// The tasks in someone's hands.
    pub(crate) fn running(&self) -> Vec<i64> {
        lock(&self.held)
            .iter()
            .filter(|(_, held)| held.stage.is_running())
            .map(|(seq, _)| *seq)
            .collect()
    }

    /// Notes claimed tasks. A suspect is taken only while no other is being run; answers whether it was.
    pub(crate) fn take(&self, seq: i64, token: i64, consumer: u64, is_suspect: bool, topics: &Topics) -> bool {
        let mut held = lock(&self.held);
        if held.contains_key(&seq) {
            // An open transaction changes it, or has since its row was read.
            return false;
        }
        if is_suspect && topics.has_suspect.swap(true, Ordering::SeqCst) {
            return false;
        }
        held.insert(
            seq,
            Held {
                token,
                consumer,
                stage: Stage::Buffered,
                expires_at: None,
                is_suspect,
            },
        );
        true
    }

    /// Notes that a task is handed out. `false` when it is no longer this claim's.
    pub(crate) fn hand_out(&self, seq: i64, token: i64, place: impl FnOnce() -> Place) -> bool {
        match lock(&self.held).get_mut(&seq) {
            Some(held) if held.token == token && held.stage == Stage::Buffered => {
                held.stage = Stage::Running(place());
                true
            }
            Some(_) | None => false,
        }
    }

    /// Whether someone has this task in hand.
    pub(crate) fn is_running(&self, seq: i64) -> bool {
        let held = lock(&self.held);
        held.get(&seq).is_some_and(|held| held.stage.is_running())
    }

    /// Where the run of a task is written down. `None` when the lease was lost.
    pub(crate) fn place(&self, seq: i64, token: i64) -> Option<Place> {
        match lock(&self.held).get(&seq) {
            Some(held) if held.token == token => match held.stage {
                Stage::Running(place) => Some(place),
                Stage::Buffered | Stage::Settling(_) | Stage::Unsettled(_) | Stage::Withheld | Stage::WasWithheld => {
                    None
                }
            },
            Some(_) | None => None,
        }
    }

    /// Notes that the end of a task is being written: from here its lease does not run out. `false` when the lease was
    /// lost.
    pub(crate) fn begin_settling(&self, seq: i64, token: i64) -> bool {
        match lock(&self.held).get_mut(&seq) {
            Some(held) if held.token == token => match held.stage {
                Stage::Running(place) => {
                    held.stage = Stage::Settling(place);
                    true
                }
                Stage::Buffered | Stage::Settling(_) | Stage::Unsettled(_) | Stage::Withheld | Stage::WasWithheld => {
                    false
                }
            },
            Some(_) | None => false,
        }
    }

    /// Forgets leases: the tasks are gone, or free again. Answers where their runs were written down.
    pub(crate) fn forget(&self, leases: impl IntoIterator<Item = (i64, i64)>, topics: &Topics) -> Vec<Place> {
        let mut places = Vec::new();
        let mut had_suspect = false;
        {
            let mut held = lock(&self.held);
            for (seq, token) in leases {
                let Entry::Occupied(lease) = held.entry(seq) else {
                    continue;
                };
                if lease.get().token != token {
                    continue;
                }
                let gone = lease.remove();
                had_suspect |= gone.is_suspect;
                match gone.stage {
                    Stage::Buffered | Stage::Withheld | Stage::WasWithheld => {}
                    Stage::Running(place) | Stage::Settling(place) | Stage::Unsettled(place) => places.push(place),
                }
            }
        }
        if had_suspect {
            topics.suspect_is_over();
        }
        places
    }

    /// The end of a task could not be written: it comes again when its lease runs out, and its run was not lost.
    pub(crate) fn settling_failed(&self, seq: i64, token: i64, expires_at: i64) {
        if let Some(held) = lock(&self.held).get_mut(&seq)
            && held.token == token
            && let Stage::Settling(place) = held.stage
        {
            held.stage = Stage::Unsettled(place);
            held.expires_at = Some(expires_at);
        }
    }

    /// Nobody has this delivery any more: its lease runs out.
    pub(crate) fn abandon(&self, seq: i64, token: i64, expires_at: i64) {
        if let Some(held) = lock(&self.held).get_mut(&seq)
            && held.token == token
        {
            held.expires_at.get_or_insert(expires_at);
        }
    }

    /// A consumer is gone: the leases of all it has run out, but for what it handed out before it was stopped, which can still
    /// be settled, however long that takes.
    pub(crate) fn abandon_all(&self, consumer: u64, was_stopped: bool, expires_at: i64) {
        for held in lock(&self.held).values_mut().filter(|held| held.consumer == consumer) {
            if !was_stopped || held.stage == Stage::Buffered {
                held.expires_at.get_or_insert(expires_at);
            }
        }
    }

    /// The tasks whose lease has run out at `now`.
    pub(crate) fn expired(&self, now: i64) -> Vec<Expired> {
        lock(&self.held)
            .iter()
            .filter(|(_, held)| held.expires_at.is_some_and(|at| at <= now))
            .filter(|(_, held)| !matches!(held.stage, Stage::Settling(_)))
            .map(|(seq, held)| Expired {
                seq: *seq,
                token: held.token,
                is_lost: matches!(held.stage, Stage::Running(_)),
            })
            .collect()
    }

    /// Takes expired leases from their holders, so that a late settling is stale. Answers whether it was still this one.
    pub(crate) fn revoke(&self, expired: Expired) -> bool {
        match lock(&self.held).get_mut(&expired.seq) {
            Some(held) if held.token == expired.token => match held.stage {
                Stage::Running(place) | Stage::Unsettled(place) => {
                    held.stage = Stage::Unsettled(place);
                    true
                }
                Stage::Buffered => true,
                Stage::Settling(_) | Stage::Withheld | Stage::WasWithheld => false,
            },
            Some(_) | None => false,
        }
    }

    /// Keeps a waiting task from being handed out while a transaction changes it. `false` when somebody has it.
    pub(crate) fn withhold(&self, seq: i64, topics: &Topics) -> bool {
        let was_suspect = {
            let mut held = lock(&self.held);
            let before = held.get(&seq);
            if before.is_some_and(|held| held.stage.is_running()) {
                return false;
            }
            let was_suspect = before.is_some_and(|held| held.is_suspect);
            // With a token that nobody has: whoever had claimed it ahead finds that it is gone.
            let withheld = Held {
                token: i64::MIN,
                consumer: u64::MAX,
                stage: Stage::Withheld,
                expires_at: None,
                is_suspect: false,
            };
            held.insert(seq, withheld);
            was_suspect
        };
        if was_suspect {
            topics.suspect_is_over();
        }
        true
    }

    /// The transaction that changed this task is over.
    pub(crate) fn withhold_no_more(&self, seq: i64) {
        {
            let nobody_claims = self.claiming.try_lock();
            let mut held = lock(&self.held);
            if nobody_claims.is_ok() {
                held.remove(&seq);
            } else if let Some(held) = held.get_mut(&seq) {
                held.stage = Stage::WasWithheld;
            }
        }
        self.wake.bump();
    }
}

impl Stage {
    /// Whether it is in someone's hands.
    const fn is_running(self) -> bool {
        matches!(self, Self::Running(_) | Self::Settling(_) | Self::Unsettled(_))
    }
}

/// A panic elsewhere leaves the notes as they are: each change to them is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
