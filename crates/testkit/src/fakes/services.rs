//! Everything a test hands to what it tests.

use std::sync::Arc;

use aftercommit_domain::contract::{Codec, EnvelopeFactory, Limits};
use aftercommit_domain::ids::Ids;
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::time::Clock;

use crate::fakes::{ManualClock, SeededIds, SeededRandomness, TestSealer};

/// Time, ids, randomness, codec and envelopes that a test holds in its hands. Clones share all of it.
#[derive(Clone)]
pub struct TestServices {
    /// The time.
    pub clock: ManualClock,
    /// Where ids come from.
    pub ids: Arc<SeededIds>,
    /// Where jitter and tokens come from.
    pub randomness: Arc<SeededRandomness>,
    /// Encodes payloads, sealing with a [`TestSealer`].
    pub codec: Codec,
    /// Makes envelopes out of the above. Events say they come from `/test`.
    pub envelopes: EnvelopeFactory,
}

/// Services with the default limits; the same in every run.
pub fn test_services() -> TestServices {
    TestServices::with_limits(Limits::default())
}

impl TestServices {
    /// Services with limits of the test's own.
    pub fn with_limits(limits: Limits) -> Self {
        let clock = ManualClock::default();
        let ids = Arc::new(SeededIds::new(1));
        let codec = Codec::new(Arc::new(TestSealer::new()), limits);
        let envelopes = EnvelopeFactory::new(
            codec.clone(),
            Arc::clone(&ids) as Arc<dyn Ids>,
            Arc::new(clock.clone()),
            "/test",
        );
        Self {
            clock,
            ids,
            randomness: Arc::new(SeededRandomness::new(1)),
            codec,
            envelopes,
        }
    }

    /// The clock as its port.
    pub fn clock_port(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }

    /// The ids as their port.
    pub fn ids_port(&self) -> Arc<dyn Ids> {
        Arc::<SeededIds>::clone(&self.ids)
    }

    /// The randomness as its port.
    pub fn randomness_port(&self) -> Arc<dyn Randomness> {
        Arc::<SeededRandomness>::clone(&self.randomness)
    }
}

impl Default for TestServices {
    fn default() -> Self {
        test_services()
    }
}
