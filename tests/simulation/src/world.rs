//! One world: a store, processes over it, and everything that can go wrong between them.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aftercommit_domain::contract::{Codec, EnvelopeFactory, Limits};
use aftercommit_domain::ids::Ids;
use aftercommit_domain::time::Clock;
use aftercommit_testkit::{InMemory, SeededIds, TestSealer};
use tokio::time::Instant;

use crate::clock::MachineClock;
use crate::dice::Dice;
use crate::fences::Fences;
use crate::ledger::Ledger;
use crate::process::Process;
use crate::scenario::Scenario;
use crate::timeline::Timeline;

/// One world.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) dice: Dice,
    pub(crate) started: Instant,
    pub(crate) store: InMemory,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) codec: Codec,
    pub(crate) ledger: Ledger,
    pub(crate) fences: Fences,
    pub(crate) timeline: Timeline,
    /// Those that live, by number.
    processes: Mutex<Vec<Option<Arc<Process>>>>,
    healed: AtomicBool,
    mended: AtomicBool,
    /// The queue takes nothing before this millisecond.
    full_until: AtomicU64,
    /// Publishes that are still on their way although nobody waits for them.
    pub(crate) on_the_way: AtomicUsize,
    /// Deliveries that are not settled, those of lost leases included.
    pub(crate) running: Arc<AtomicUsize>,
}

impl World {
    /// The world of this seed.
    pub(crate) fn new(seed: u64, keeps_steps: bool) -> Self {
        let dice = Dice::new(seed);
        let scenario = Scenario::of(&dice);
        let started = Instant::now();
        let clock: Arc<dyn Clock> = Arc::new(MachineClock::new(started));
        let ids: Arc<dyn Ids> = Arc::new(SeededIds::new(dice.draw()));
        let codec = Codec::new(Arc::new(TestSealer::new()), Limits::default());
        let envelopes = EnvelopeFactory::new(codec.clone(), Arc::clone(&ids), Arc::clone(&clock), "/world");
        Self {
            store: InMemory::new(clock, Arc::clone(&ids), envelopes),
            processes: Mutex::new(vec![None; scenario.processes]),
            scenario,
            dice,
            started,
            ids,
            codec,
            ledger: Ledger::default(),
            fences: Fences::default(),
            timeline: Timeline::start(keeps_steps),
            healed: AtomicBool::new(false),
            mended: AtomicBool::new(false),
            full_until: AtomicU64::new(0),
            on_the_way: AtomicUsize::new(0),
            running: Arc::default(),
        }
    }

    /// From now on nothing goes wrong any more.
    pub(crate) fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }

    /// From now on what always failed succeeds: somebody mended it.
    pub(crate) fn mend(&self) {
        self.mended.store(true, Ordering::Relaxed);
        let mut books = self.ledger.books();
        books.in_order = Some(books.effects.len());
    }

    pub(crate) fn is_mended(&self) -> bool {
        self.mended.load(Ordering::Relaxed)
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.healed.load(Ordering::Relaxed)
    }

    /// The queue takes nothing for so many milliseconds.
    pub(crate) fn fill_queue(&self, millis: u64) {
        let until = self.timeline.millis().saturating_add(millis);
        self.full_until.fetch_max(until, Ordering::Relaxed);
    }

    pub(crate) fn is_queue_full(&self) -> bool {
        !self.is_healed() && self.timeline.millis() < self.full_until.load(Ordering::Relaxed)
    }

    pub(crate) fn set_process(&self, number: usize, process: Option<Arc<Process>>) {
        if let Some(place) = self.lock().get_mut(number) {
            *place = process;
        }
    }

    /// One that lives; it may stand still.
    pub(crate) fn any_process(&self, dice: &Dice) -> Option<Arc<Process>> {
        let living: Vec<Arc<Process>> = self.living();
        let at = usize::try_from(dice.below(living.len() as u64)).unwrap_or(0);
        living.get(at).cloned()
    }

    pub(crate) fn living(&self) -> Vec<Arc<Process>> {
        self.lock().iter().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Arc<Process>>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
