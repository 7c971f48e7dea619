//! The machine's own clock, randomness and ids: the one place that reads them.

use std::sync::Arc;
use std::time::SystemTime;

use aftercommit_domain::ids::Ids;
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::time::{Clock, Timestamp, to_micros};
use rand::Rng;
use uuid::Uuid;

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the implementation of the Clock port")]
    fn now(&self) -> Timestamp {
        to_micros(SystemTime::now().into())
    }
}

/// Cryptographically secure randomness, seeded by the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the implementation of the Randomness port"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

/// UUIDv7 from a clock and a source of randomness.
#[derive(Clone)]
pub struct UuidV7Ids {
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

impl UuidV7Ids {
    /// Ids with the time of `clock` and the rest from `randomness`.
    pub fn new(clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> Self {
        Self { clock, randomness }
    }
}

impl Ids for UuidV7Ids {
    fn next(&self) -> Uuid {
        let mut random = [0; 10];
        self.randomness.fill(&mut random);
        // A clock before 1970 gives ids of 1970: still unique, only badly placed in an index.
        let millis = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_seven_and_differ() {
        let ids = UuidV7Ids::new(Arc::new(SystemClock), Arc::new(SystemRandomness));
        let (a, b) = (ids.next(), ids.next());
        assert_eq!(a.get_version_num(), 7);
        assert_ne!(a, b);
    }
}
