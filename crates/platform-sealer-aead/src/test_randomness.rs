//! Bytes that differ on every call and are the same on every run.

use std::sync::atomic::{AtomicU64, Ordering};

use aftercommit_domain::randomness::Randomness;

#[derive(Default)]
pub(crate) struct CountingRandomness(AtomicU64);

impl Randomness for CountingRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        for (byte, source) in bytes.iter_mut().zip(count.iter().cycle()) {
            *byte = *source;
        }
    }
}
