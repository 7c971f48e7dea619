//! Ids that are the same in every run.

use std::sync::atomic::{AtomicU64, Ordering};

use aftercommit_domain::ids::Ids;
use uuid::{Builder, Uuid};

use crate::fakes::seeded_randomness::mix;

/// UUIDv7s that are the same in every run with one seed. Two of one seed make the same ids, so a test has one.
#[derive(Debug)]
pub struct SeededIds {
    seed: u64,
    made: AtomicU64,
}

/// 2026-01-01T00:00:00Z in milliseconds; each id is a millisecond later than the one before.
const FIRST_MILLIS: u64 = 1_767_225_600_000;

impl SeededIds {
    /// The ids of this seed.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            made: AtomicU64::new(0),
        }
    }
}

impl Ids for SeededIds {
    fn next(&self) -> Uuid {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 10];
        let random = mix(self.seed ^ mix(number)).to_le_bytes();
        bytes.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
        Builder::from_unix_timestamp_millis(FIRST_MILLIS + number, &bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_distinct_version_seven_and_the_same_in_every_run() {
        let ids = SeededIds::new(1);
        let drawn: Vec<Uuid> = (0..1000).map(|_| ids.next()).collect();
        assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), 1000);
        assert!(drawn.iter().all(|id| id.get_version_num() == 7));
        assert_eq!(drawn.first(), Some(&SeededIds::new(1).next()));
        assert_ne!(drawn.first(), Some(&SeededIds::new(2).next()));
    }
}
