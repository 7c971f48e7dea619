//! What happened, in order: a hash of everything, and the faults in words.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// What happened, in order.
pub(crate) struct Timeline {
    started: Instant,
    hash: AtomicU64,
    steps: AtomicU64,
    lines: Mutex<Vec<String>>,
    keeps_steps: bool,
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

impl Timeline {
    /// Starts now. Faults are kept in words; every step, too, where that is asked for.
    pub(crate) fn start(keeps_steps: bool) -> Self {
        Self {
            started: Instant::now(),
            hash: AtomicU64::new(FNV_OFFSET),
            steps: AtomicU64::new(0),
            lines: Mutex::default(),
            keeps_steps,
        }
    }

    /// Something happened: who, what, how it went.
    pub(crate) fn step(&self, process: usize, what: &'static str, how: &'static str, detail: u64) {
        self.add(process, what, how, detail);
        if self.keeps_steps {
            self.say(process, format_args!("{what}: {how} ({detail})"));
        }
    }

    fn add(&self, process: usize, what: &str, how: &str, detail: u64) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        let mut hash = self.hash.load(Ordering::Relaxed);
        let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        self.millis().to_le_bytes().into_iter().for_each(&mut add);
        (process as u64).to_le_bytes().into_iter().for_each(&mut add);
        what.bytes().chain(how.bytes()).for_each(&mut add);
        detail.to_le_bytes().into_iter().for_each(&mut add);
        self.hash.store(hash, Ordering::Relaxed);
    }

    /// A fault of a process, or what else a reader of the timeline must know.
    pub(crate) fn fault(&self, process: usize, what: std::fmt::Arguments<'_>) {
        let what = what.to_string();
        self.add(process, "fault", &what, 0);
        self.say(process, format_args!("{what}"));
    }

    fn say(&self, process: usize, what: std::fmt::Arguments<'_>) {
        let at = self.millis();
        self.lines().push(format!(
            "{:>3}.{:03} s  process {process}: {what}",
            at / 1000,
            at % 1000
        ));
    }

    /// Milliseconds since the start.
    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.load(Ordering::Relaxed)
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    pub(crate) fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
