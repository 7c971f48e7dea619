//! Which fault comes when, decided by a seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// Something bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A process of the application is killed, and the next one starts after the pause.
    KillMember {
        /// Which.
        name: String,
        /// Until the next one starts.
        pause: Duration,
    },
    /// The server is killed, and started again after the pause.
    KillServer {
        /// All its processes at once, or the first one, and the others notice.
        all_processes: bool,
        /// Until it is started again.
        pause: Duration,
        /// A process of the application that is killed meanwhile, and starts while there is no server.
        meanwhile: Option<String>,
    },
}

/// Which fault comes when: after so many committed events, and then some milliseconds.
#[derive(Debug, Clone)]
pub struct Schedule {
    faults: Vec<(u64, Duration, Fault)>,
}

impl Schedule {
    /// Faults spread over the time in which `events` are committed. The same arguments give the same schedule.
    pub fn seeded(seed: u64, events: u64, server_kills: u64, member_kills: u64, members: &[&str]) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut faults = Vec::new();
        // Each in a part of the run of its own, so that none hides in the shadow of the one before.
        let moments = |random: &mut StdRng, kills: u64| -> Vec<u64> {
            (0..kills)
                .map(|kill| (events * kill / kills, events * (kill + 1) / kills))
                .map(|(from, to)| random.random_range(from..to.max(from + 1)))
                .collect()
        };
        // Everybody's turn comes before anybody's second.
        let mut turns: Vec<&str> = Vec::new();
        let mut victim = |random: &mut StdRng| {
            if turns.is_empty() {
                turns.extend(members);
                turns.shuffle(random);
            }
            turns.pop().unwrap().to_owned()
        };
        for moment in moments(&mut random, server_kills) {
            let fault = Fault::KillServer {
                all_processes: random.random_bool(0.5),
                pause: Duration::from_millis(random.random_range(0..=2000)),
                meanwhile: random.random_bool(0.5).then(|| victim(&mut random)),
            };
            faults.push((moment, Duration::from_millis(random.random_range(0..=100)), fault));
        }
        for moment in moments(&mut random, member_kills) {
            let fault = Fault::KillMember {
                name: victim(&mut random),
                pause: Duration::from_millis(random.random_range(0..=500)),
            };
            faults.push((moment, Duration::from_millis(random.random_range(0..=100)), fault));
        }
        faults.sort_by_key(|(moment, ..)| *moment);
        faults.reverse();
        Self { faults }
    }

    /// The next fault, once so many events are committed, and how long to wait before it.
    pub fn next(&mut self, committed: u64) -> Option<(Duration, Fault)> {
        let (_, wait, fault) = self.faults.pop_if(|(moment, ..)| *moment <= committed)?;
        Some((wait, fault))
    }

    /// Whether all faults were given out.
    pub fn is_over(&self) -> bool {
        self.faults.is_empty()
    }
}
