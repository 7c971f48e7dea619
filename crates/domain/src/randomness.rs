//! Randomness as a port: jitter, tokens and keys come from outside.

/// A source of random bytes.
///
/// **Contract**: unpredictable in production (it makes tokens and keys), reproducible from a seed in tests. Never fails.
pub trait Randomness: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// A number in `0.0..1.0`, each step as likely as any other.
    fn unit(&self) -> f64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}
