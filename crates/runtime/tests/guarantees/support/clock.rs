//! A wall clock that follows the runtime's timers, so that paused time is the time of everything.

use aftercommit_domain::time::{Clock, Timestamp, after, seconds, to_micros};
use tokio::time::Instant;

/// 2026-01-01T00:00:00Z, and from there as fast as the runtime's timers.
pub(crate) struct TimerClock {
    started: Instant,
}

impl TimerClock {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Clock for TimerClock {
    fn now(&self) -> Timestamp {
        let start = after(Timestamp::UNIX_EPOCH, seconds(1_767_225_600));
        to_micros(after(start, self.started.elapsed()))
    }
}
