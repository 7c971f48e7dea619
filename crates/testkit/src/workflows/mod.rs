//! The workflow engine without a store or a clock of its own: every sentence of the workflow ports, in the memory of one
//! process.
//!
//! Time passes only when a test says so ([`InMemoryWorkflows::advance`]), and then at once. What an engine must keep through a
//! crash is kept apart from what it may lose: [`InMemoryWorkflows::crash`] drops the code of every run and every attempt of
//! an activity, and all of it is taken up again from what is recorded. [`WorkflowFaults`] does so at every place where
//! something is recorded. A run that is taken up must take the same way: a step more, fewer or another is found at once.

mod attempts;
mod due;
mod faults;
mod history;
mod host;
mod looking;
mod requests;
mod running;
mod state;
mod steps;
mod trial;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aftercommit_domain::contract::Limits;
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::time::{Clock, Timestamp, after};
use aftercommit_domain::workflows::{WorkflowDescription, WorkflowId, WorkflowRegistry};

use crate::fakes::{ManualClock, TestServices};

pub use faults::WorkflowFaults;
pub use history::WorkflowHistory;
use state::State;
pub use trial::{JudgeCancelled, TrialReport, WorkflowTrial, try_workflow};

/// Longer than anything a test means: a workflow that takes more turns without time passing does not end.
const MOST_TURNS: u32 = 100_000;
/// How often the tasks of a test's runtime get their turn before it is taken that nothing moves any more.
const YIELDS: u32 = 8;

/// A workflow engine in memory. Clones share it.
///
/// ```
/// # use aftercommit_testkit::{test_services, InMemoryWorkflows};
/// # use aftercommit_domain::workflows::WorkflowRegistry;
/// # async fn example() {
/// let services = test_services();
/// let engine = InMemoryWorkflows::new(WorkflowRegistry::new(services.codec.clone()), &services);
/// engine.settle().await;
/// # }
/// ```
#[derive(Clone)]
pub struct InMemoryWorkflows {
    shared: Arc<Shared>,
}

struct Shared {
    clock: ManualClock,
    randomness: Arc<dyn Randomness>,
    limits: Limits,
    state: Mutex<State>,
}

impl InMemoryWorkflows {
    /// An engine that runs what is in `registry`, in the time of `services`.
    pub fn new(registry: WorkflowRegistry, services: &TestServices) -> Self {
        Self {
            shared: Arc::new(Shared {
                clock: services.clock.clone(),
                randomness: services.randomness_port(),
                limits: *services.codec.limits(),
                state: Mutex::new(State::new(registry, services.ids_port())),
            }),
        }
    }

    /// Runs everything that can run without time passing.
    ///
    /// # Panics
    /// When that does not end.
    pub async fn settle(&self) {
        let mut turns = 0;
        let mut idle = 0;
        while idle < YIELDS {
            if self.turn() {
                idle = 0;
                turns += 1;
                assert!(
                    turns < MOST_TURNS,
                    "a workflow goes on and on without waiting for time to pass"
                );
            } else {
                idle += 1;
                // What an activity waits for may be a task of the test's own.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Lets time pass: what is due meanwhile happens at its time, one after the other.
    ///
    /// # Panics
    /// As [`settle`](Self::settle).
    pub async fn advance(&self, by: Duration) {
        let target = after(self.shared.clock.now(), by);
        self.settle().await;
        while let Some(due) = self.next_due().filter(|due| *due <= target) {
            self.pass_until(due);
            self.settle().await;
        }
        self.pass_until(target);
        self.settle().await;
    }

    /// Runs everything that can run without time passing, or else lets time pass until the next thing is due.
    ///
    /// # Panics
    /// As [`settle`](Self::settle).
    pub async fn moment(&self) {
        if self.turn() {
            return self.settle().await;
        }
        if let Some(due) = self.next_due() {
            self.pass_until(due);
        }
        self.settle().await;
    }

    /// Lets time pass until the newest run of a workflow is closed, or waits for something that no time brings. Answers how it
    /// stands; `None` when there is no such workflow.
    ///
    /// # Panics
    /// As [`settle`](Self::settle), or when it waits for time again and again without end.
    pub async fn run_to_end(&self, id: &WorkflowId) -> Option<WorkflowDescription> {
        for _ in 0..MOST_TURNS {
            self.settle().await;
            let next = {
                let state = self.lock();
                state.newest(id).filter(|run| run.end.is_none()).and(state.next_due())
            };
            match next {
                Some(due) => self.pass_until(due),
                None => return self.lock().description(id),
            }
        }
        panic!("{id} waits for time again and again without end");
    }

    /// The process dies and another one takes over: the code of every run and every attempt of an activity is lost in the
    /// middle of what it does. An attempt that was lost is given up when its time is over.
    pub fn crash(&self) {
        self.lock().crash();
    }

    /// A new build takes over; runs that were stuck go on if it can.
    pub fn deploy(&self, registry: WorkflowRegistry) {
        let mut state = self.lock();
        state.crash();
        state.registry = registry;
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: WorkflowFaults) {
        self.lock().faults = faults;
    }

    /// How often something was recorded so far: the places where [`WorkflowFaults`] strikes are numbered so, from 1.
    pub fn recorded(&self) -> u64 {
        self.lock().recorded
    }

    /// How many attempts of activities have begun so far.
    pub fn attempts(&self) -> u64 {
        self.lock().attempts_begun
    }

    /// Whether the engine answers: while it does not, every request to it and every look is
    /// `Unavailable`, and what runs goes on.
    pub fn set_away(&self, is_away: bool) {
        self.lock().is_away = is_away;
    }

    /// One thing after the other that can be done now. Answers whether there was any.
    fn turn(&self) -> bool {
        let fired = self.fire_due();
        let ran = self.run_codes();
        let tried = self.poll_attempts();
        fired || ran || tried
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.lock().next_due()
    }

    fn pass_until(&self, time: Timestamp) {
        if time > self.shared.clock.now() {
            self.shared.clock.set(time);
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that failed while it held the lock must not fail the others.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
