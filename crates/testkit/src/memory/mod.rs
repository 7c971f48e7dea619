//! The provider without a store: every port, exactly as documented, in the memory of one process.
//!
//! It passes the same conformance suites as the durable providers, so that a test against it says something about them.
//! What it holds is gone with the process.

mod bulk_runs;
mod cancellations;
mod consumers;
mod dead_letter_operations;
mod dead_letters;
mod deliveries;
mod event_log;
mod held;
mod history;
mod inbox;
mod lineage;
mod outbox;
mod pauses;
mod queue;
mod rest;
mod schedules;
mod settling;
mod task_inspector;
mod task_windows;
mod tasks;
mod transfer;
mod unit_of_work;
mod windows;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aftercommit_domain::contract::{EnvelopeFactory, Limits};
use aftercommit_domain::ids::{Ids, MessageId};
use aftercommit_domain::time::{Clock, Timestamp};
use tokio::sync::Notify;

use crate::fakes::TestServices;

pub use rest::UnpublishedMessage;

/// A provider in memory. Implements every port; clones share what it holds.
///
/// ```
/// use aftercommit_testkit::{InMemory, test_services};
///
/// let services = test_services();
/// let provider = InMemory::for_tests(&services);
/// ```
#[derive(Clone)]
pub struct InMemory {
    shared: Arc<Shared>,
    process: u64,
}

struct Shared {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    envelopes: EnvelopeFactory,
    state: Mutex<State>,
    outbox_changed: Notify,
    queue_changed: Notify,
    processes: AtomicU64,
}

/// Everything it holds, behind one lock: whatever happens under it is atomic.
#[derive(Default)]
struct State {
    outbox: outbox::Rows,
    tasks: tasks::Tasks,
    events: event_log::Events,
    dead: dead_letters::Letters,
    bulk: bulk_runs::Runs,
    inbox: inbox::Claims,
    schedules: schedules::Rows,
    orders: cancellations::CancelOrders,
    pauses: pauses::Pauses,
}

impl InMemory {
    /// An empty provider with this clock and these ids; `envelopes` makes the envelopes of its units of work, and its
    /// codec's limits are kept.
    ///
    /// Waits for a retry, a delay or a lease are real time. With a clock that does not follow real time, call
    /// [`wake`](Self::wake) whenever it moved.
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, envelopes: EnvelopeFactory) -> Self {
        Self {
            shared: Arc::new(Shared {
                clock,
                ids,
                envelopes,
                state: Mutex::default(),
                outbox_changed: Notify::new(),
                queue_changed: Notify::new(),
                processes: AtomicU64::new(0),
            }),
            process: 0,
        }
    }

    /// The same provider as a process of its own sees it: its consumers stand still together, and go on together.
    pub fn new_process(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            process: self.shared.processes.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }

    /// This process stands still from now on, as one that was stopped or whose machine hangs: what its consumers hold is
    /// theirs only until the leases end. Whoever calls this lets the process do nothing until [`resume`](Self::resume).
    pub fn suspend(&self) {
        self.lock().tasks.suspend(self.process, self.now());
        self.shared.queue_changed.notify_waiters();
    }

    /// This process goes on. What it lost meanwhile it does not get back.
    pub fn resume(&self) {
        self.lock().tasks.resume(self.process, self.now());
        self.shared.queue_changed.notify_waiters();
    }

    /// An empty provider of these services that hears when their clock moves.
    pub fn for_tests(services: &TestServices) -> Self {
        let provider = Self::new(services.clock_port(), services.ids_port(), services.envelopes.clone());
        // Weak: the clock may live longer than the provider, and must not keep it.
        let shared = Arc::downgrade(&provider.shared);
        services.clock.on_change(move || {
            if let Some(shared) = shared.upgrade() {
                shared.wake();
            }
        });
        provider
    }

    /// Makes everyone who waits look again.
    pub fn wake(&self) {
        self.shared.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn new_id(&self) -> MessageId {
        MessageId::new(&*self.shared.ids)
    }

    fn limits(&self) -> &Limits {
        self.shared.envelopes.codec().limits()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; a test that did anyway must not fail the others.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.outbox_changed.notify_waiters();
        self.queue_changed.notify_waiters();
    }
}

/// How many rows a list answers: 50 when nothing is said, never more than 1000.
pub(crate) fn list_limit(limit: Option<u32>) -> usize {
    usize::try_from(limit.unwrap_or(50).min(1000)).unwrap_or(1000)
}

/// How long from `now` until `due`; zero when it has come.
fn until(now: Timestamp, due: Timestamp) -> std::time::Duration {
    (due - now).to_std().unwrap_or_default()
}
