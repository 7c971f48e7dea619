//! Time as a port: the domain never reads a clock itself.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};

/// A point in time in UTC. What is stored and sent has microseconds, the finest unit every provider keeps.
pub type Timestamp = DateTime<Utc>;

/// Tells the time.
///
/// **Contract**: `now` is the wall clock in UTC, cut to microseconds so that a value survives every store unchanged.
/// It may jump when the machine's clock is set; whoever measures a duration uses the runtime's monotonic timers.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// Cuts a time to microseconds.
pub fn to_micros(time: Timestamp) -> Timestamp {
    time.trunc_subsecs(6)
}

/// `time + duration`, or the latest time there is when that does not fit.
pub fn after(time: Timestamp, duration: Duration) -> Timestamp {
    chrono::Duration::from_std(duration)
        .ok()
        .and_then(|duration| time.checked_add_signed(duration))
        .unwrap_or(Timestamp::MAX_UTC)
}

/// `time − duration`, or the earliest time there is when that does not fit.
pub fn before(time: Timestamp, duration: Duration) -> Timestamp {
    chrono::Duration::from_std(duration)
        .ok()
        .and_then(|duration| time.checked_sub_signed(duration))
        .unwrap_or(Timestamp::MIN_UTC)
}

/// A number of seconds.
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A number of minutes.
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(60))
}

/// A number of hours.
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(3600))
}

/// A number of days of 24 hours.
pub const fn days(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_a_duration_never_overflows() {
        assert_eq!(after(Timestamp::MIN_UTC, Duration::MAX), Timestamp::MAX_UTC);
    }
}
