//! Who takes tasks, and whether it still shows signs of life.

use std::collections::{HashMap, HashSet};

/// The consumers that are alive: what they hold stays theirs.
#[derive(Default)]
pub(super) struct Consumers {
    /// Each with the process it is part of.
    alive: HashMap<u64, u64>,
    /// Processes that stand still.
    suspended: HashSet<u64>,
}

impl Consumers {
    pub(super) fn add(&mut self, consumer: u64, process: u64) {
        self.alive.insert(consumer, process);
    }

    pub(super) fn remove(&mut self, consumer: u64) {
        self.alive.remove(&consumer);
    }

    pub(super) fn suspend(&mut self, process: u64) {
        self.suspended.insert(process);
    }

    pub(super) fn resume(&mut self, process: u64) {
        self.suspended.remove(&process);
    }

    /// Whether it would renew a lease now.
    pub(super) fn show_life(&self, consumer: u64) -> bool {
        let process = self.alive.get(&consumer);
        process.is_some_and(|process| !self.suspended.contains(process))
    }
}
