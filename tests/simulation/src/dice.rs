//! Choices that one seed decides.

use std::time::Duration;

use aftercommit_domain::randomness::Randomness;
use aftercommit_testkit::SeededRandomness;

/// Choices that one seed decides.
pub(crate) struct Dice(SeededRandomness);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(SeededRandomness::new(seed))
    }

    /// A number in `0..n`; `n` is at least 1.
    pub(crate) fn below(&self, n: u64) -> u64 {
        self.draw() % n.max(1)
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Whether what happens this often of a thousand times happens now.
    pub(crate) fn happens(&self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    pub(crate) fn pick<T: Copy>(&self, from: &[T]) -> Option<T> {
        from.get(usize::try_from(self.below(from.len() as u64)).ok()?).copied()
    }

    /// So many milliseconds.
    pub(crate) fn millis(&self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// A seed for what is to choose on its own.
    pub(crate) fn draw(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
