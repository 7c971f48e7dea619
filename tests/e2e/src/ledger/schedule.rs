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
    /// The broker is killed, and started again after the pause.
    KillBroker {
        /// Until it is started again.
        pause: Duration,
    },
    /// Every connection to the broker is cut.
    CutLinks,
}

/// How often what happens in one run.
#[derive(Debug, Clone, Copy)]
pub struct Faults<'m> {
    /// Kills of PostgreSQL.
    pub server_kills: u64,
    /// Kills of the broker.
    pub broker_kills: u64,
    /// Cuts of all connections to the broker.
    pub cuts: u64,
    /// Kills of processes, and of which.
    pub member_kills: &'m [(u64, &'m [&'m str])],
}

/// Which fault comes when: after so many committed events, and then some milliseconds.
#[derive(Debug, Clone)]
pub struct Schedule {
    faults: Vec<(u64, Duration, Fault)>,
}

impl Schedule {
    /// Faults spread over the time in which `events` are committed. The same arguments give the same schedule.
    pub fn seeded(seed: u64, events: u64, server_kills: u64, member_kills: u64, members: &[&str]) -> Self {
        let member_kills = &[(member_kills, members)];
        let faults = Faults {
            server_kills,
            broker_kills: 0,
            cuts: 0,
            member_kills,
        };
        Self::of(seed, events, &faults)
    }

    /// The same, with a broker.
    pub fn of(seed: u64, events: u64, of: &Faults<'_>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut faults = Vec::new();
        // Each in a part of the run of its own, so that none hides in the shadow of the one before.
        let moments = |random: &mut StdRng, kills: u64| -> Vec<u64> {
            (0..kills)
                .map(|kill| (events * kill / kills, events * (kill + 1) / kills))
                .map(|(from, to)| random.random_range(from..to.max(from + 1)))
                .collect()
        };
        let mut groups: Vec<(u64, Turns<'_>)> = of
            .member_kills
            .iter()
            .map(|(kills, members)| (*kills, Turns::of(members)))
            .collect();
        for moment in moments(&mut random, of.server_kills) {
            let fault = Fault::KillServer {
                all_processes: random.random_bool(0.5),
                pause: Duration::from_millis(random.random_range(0..=2000)),
                meanwhile: random.random_bool(0.5).then(|| {
                    let (_, turns) = groups.first_mut().unwrap();
                    turns.next(&mut random)
                }),
            };
            faults.push((moment, Duration::from_millis(random.random_range(0..=100)), fault));
        }
        for (kills, turns) in &mut groups {
            for moment in moments(&mut random, *kills) {
                let fault = Fault::KillMember {
                    name: turns.next(&mut random),
                    pause: Duration::from_millis(random.random_range(0..=500)),
                };
                faults.push((moment, Duration::from_millis(random.random_range(0..=100)), fault));
            }
        }
        for moment in moments(&mut random, of.broker_kills) {
            let fault = Fault::KillBroker {
                pause: Duration::from_millis(random.random_range(0..=2000)),
            };
            faults.push((moment, Duration::from_millis(random.random_range(0..=100)), fault));
        }
        for moment in moments(&mut random, of.cuts) {
            faults.push((
                moment,
                Duration::from_millis(random.random_range(0..=100)),
                Fault::CutLinks,
            ));
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

/// Everybody's turn comes before anybody's second.
struct Turns<'m> {
    members: &'m [&'m str],
    left: Vec<&'m str>,
}

impl<'m> Turns<'m> {
    const fn of(members: &'m [&'m str]) -> Self {
        let left = Vec::new();
        Self { members, left }
    }

    fn next(&mut self, random: &mut StdRng) -> String {
        if self.left.is_empty() {
            self.left.extend(self.members);
            self.left.shuffle(random);
        }
        self.left.pop().unwrap().to_owned()
    }
}
