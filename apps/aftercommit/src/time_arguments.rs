//! Times and durations as they are typed.

use std::str::FromStr;
use std::time::Duration;

use aftercommit::domain::time::{Clock, Timestamp, before};
use aftercommit::runtime::system::SystemClock;

/// A point in time, or how long before now it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    At(Timestamp),
    Ago(Duration),
}

impl Since {
    pub(crate) fn resolve(self, clock: &dyn Clock) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(duration) => before(clock.now(), duration),
        }
    }
}

/// The time as it is asked for over HTTP.
pub(crate) fn rfc3339(since: Since) -> String {
    since.resolve(&SystemClock).to_rfc3339()
}

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        let expected = "expected a time such as 2026-11-23T10:00:00Z, or how long ago, such as 90s, 1h 30m or 7d";
        delay(text).map(Self::Ago).map_err(|_| expected)
    }
}

/// A duration as it is typed, and longer than nothing.
pub(crate) fn some_time(text: &str) -> Result<Duration, &'static str> {
    let duration = delay(text)?;
    if duration.is_zero() {
        return Err("expected more than nothing, such as 30s, 5m or 1h 30m");
    }
    Ok(duration)
}

/// A duration as it is typed. The same forms as in the configuration: `M` for months would be mistaken for minutes.
pub(crate) fn delay(text: &str) -> Result<Duration, &'static str> {
    let expected = "expected a duration such as 500ms, 30s, 5m, 1h 30m or 7d";
    // Neither a sign nor a fraction: half a unit is a whole number of a smaller one.
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ') {
        return Err(expected);
    }
    let units = text
        .split(|character: char| !character.is_ascii_alphabetic())
        .filter(|unit| !unit.is_empty());
    for unit in units {
        if !["ms", "s", "m", "h", "d"].contains(&unit) {
            return Err(expected);
        }
    }
    humantime::parse_duration(text).map_err(|_| expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_and_a_duration_back_are_both_accepted() {
        assert_eq!("1h 30m".parse(), Ok(Since::Ago(Duration::from_mins(90))));
        let time = "2026-11-23T10:00:00Z".parse().unwrap();
        assert_eq!("2026-11-23T11:00:00+01:00".parse(), Ok(Since::At(time)));
        for wrong in ["", "yesterday", "1", "1M", "-1h", "1.5h", "1y", "2026-11-23"] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong}");
        }
    }
}
