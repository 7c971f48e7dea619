//! When a failed attempt is tried again.

use std::time::Duration;

/// When a failed attempt is tried again, and when it is given up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Counted attempts before the task is dead. Defaults to 20; at least 1.
    pub max_attempts: u32,
    /// The step after the first attempt. Defaults to 2 s.
    pub base: Duration,
    /// How much longer each step is. Defaults to 2; at least 1.
    pub factor: f64,
    /// The longest step. Defaults to 1 h.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 20,
            base: Duration::from_secs(2),
            factor: 2.0,
            max_delay: Duration::from_hours(1),
        }
    }
}

impl RetryPolicy {
    /// How long to wait after attempt number `attempt` (from 1): the step `base · factor^(attempt−1)`, capped, of which
    /// between half and all is waited ("equal jitter"), so that tasks that failed together do not return together.
    /// `jitter` is in `0.0..1.0`. Never overflows.
    pub fn delay(&self, attempt: u32, jitter: f64) -> Duration {
        let cap = self.max_delay.as_secs_f64();
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let step = (self.base.as_secs_f64() * self.factor.max(1.0).powi(exponent)).min(cap);
        // Infinity is already capped; what remains of a bad policy or jitter is NaN, which becomes the cap.
        let jitter = jitter.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(step * (0.5 + jitter / 2.0))
            .unwrap_or(self.max_delay)
            .min(self.max_delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_to_its_cap_and_never_overflows() {
        let policy = RetryPolicy::default();
        let full: Vec<u64> = (1..=4).map(|attempt| policy.delay(attempt, 1.0).as_secs()).collect();
        assert_eq!(full, [2, 4, 8, 16]);
        assert_eq!(policy.delay(1, 0.0), Duration::from_secs(1));
        for attempt in [12, 20, 1000, u32::MAX] {
            assert_eq!(policy.delay(attempt, 1.0), policy.max_delay, "attempt {attempt}");
        }
        assert!(policy.delay(0, f64::NAN) <= policy.max_delay);
    }
}
