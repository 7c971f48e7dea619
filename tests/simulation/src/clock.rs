//! The clocks of a world: all follow the paused time of the timers, each as wrong as its machine has it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aftercommit_domain::time::{Clock, Timestamp, after, before, seconds, to_micros};
use tokio::time::Instant;

/// A machine's wall clock.
pub(crate) struct MachineClock {
    started: Instant,
    /// Milliseconds it is ahead of the right time.
    ahead: AtomicI64,
}

impl MachineClock {
    /// The right time, in a world that began at `started`.
    pub(crate) const fn new(started: Instant) -> Self {
        Self {
            started,
            ahead: AtomicI64::new(0),
        }
    }

    /// It is set: so many milliseconds ahead, or behind.
    pub(crate) fn set(&self, ahead: i64) {
        self.ahead.store(ahead, Ordering::Relaxed);
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        // 2026-01-01T00:00:00Z, and from there as fast as the timers.
        let start = after(Timestamp::UNIX_EPOCH, seconds(1_767_225_600));
        let right = after(start, self.started.elapsed());
        let ahead = self.ahead.load(Ordering::Relaxed);
        let off = Duration::from_millis(ahead.unsigned_abs());
        to_micros(if ahead < 0 {
            before(right, off)
        } else {
            after(right, off)
        })
    }
}
