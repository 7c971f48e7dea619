//! How deliveries to a webhook went lately, and whether to go on: its circuit breaker.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::Payload;
use crate::effects::WebhookError;
use crate::failure::Classified as _;
use crate::reference::Wrong;
use crate::time::{Timestamp, after, days, hours, minutes};

/// So many failed attempts in a row let a webhook cool down: nothing is sent to it for a while.
pub const FAILURES_BEFORE_COOL_DOWN: u32 = 5;

/// How long the first cool-down is; each further failure doubles it.
pub const FIRST_COOL_DOWN: Duration = minutes(1);

/// The longest cool-down.
pub const LONGEST_COOL_DOWN: Duration = hours(1);

/// A webhook whose receiver took nothing for so long is disabled.
pub const DISABLED_AFTER: Duration = days(5);

/// How deliveries to a webhook went since the last one that was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryHealth {
    /// Attempts that failed since.
    pub failures: u32,
    /// When the first of them failed.
    pub failing_since: Option<Timestamp>,
    /// Nothing is sent before: the receiver asked for it, or it failed too often.
    pub cools_down_until: Option<Timestamp>,
    /// Since when nothing is sent any more, and why.
    pub disabled: Option<(Timestamp, DisableReason)>,
}

/// Why a webhook is told nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Payload)]
#[serde(rename_all = "snake_case")]
pub enum DisableReason {
    /// Its receiver answered 410.
    Gone,
    /// Its receiver took nothing for [`DISABLED_AFTER`].
    Failing,
}

impl DisableReason {
    /// The reason as text, as it is stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

impl FromStr for DisableReason {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        match text {
            "gone" => Ok(Self::Gone),
            "failing" => Ok(Self::Failing),
            _ => Err(Wrong::new("unknown_reason", "must be gone or failing")),
        }
    }
}

impl fmt::Display for DisableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl DeliveryHealth {
    /// Whether the last attempt was taken, or none was made.
    pub fn is_good(&self) -> bool {
        *self == Self::default()
    }

    /// How long nothing is to be sent from `now` on; `None` when something may be.
    pub fn cool_down_at(&self, now: Timestamp) -> Option<Duration> {
        let left = (self.cools_down_until? - now).to_std().ok()?;
        (!left.is_zero()).then_some(left)
    }

    /// What it is after an attempt failed like this.
    #[must_use]
    pub fn after_failure(&self, error: &WebhookError, now: Timestamp) -> Self {
        let failures = self.failures.saturating_add(1);
        let failing_since = self.failing_since.unwrap_or(now);
        let time = error.retry_after().into_iter().chain(cool_down_after(failures)).max();
        let has_failed_long = failures > FAILURES_BEFORE_COOL_DOWN && after(failing_since, DISABLED_AFTER) <= now;
        let reason = match error {
            WebhookError::Gone => Some(DisableReason::Gone),
            _ => has_failed_long.then_some(DisableReason::Failing),
        };
        Self {
            failures,
            failing_since: Some(failing_since),
            cools_down_until: time.map(|time| after(now, time)),
            disabled: self.disabled.or(reason.map(|reason| (now, reason))),
        }
    }
}

/// How long a webhook cools down after so many failures in a row.
fn cool_down_after(failures: u32) -> Option<Duration> {
    let doublings = failures.checked_sub(FAILURES_BEFORE_COOL_DOWN)?;
    let time = 2_u32
        .checked_pow(doublings)
        .and_then(|factor| FIRST_COOL_DOWN.checked_mul(factor));
    Some(time.unwrap_or(LONGEST_COOL_DOWN).min(LONGEST_COOL_DOWN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::seconds;

    fn now() -> Timestamp {
        "2026-11-28T23:00:00Z".parse().unwrap()
    }

    fn failed() -> WebhookError {
        WebhookError::of_status(500, None)
    }

    #[test]
    fn the_fifth_failure_in_a_row_lets_it_cool_down_for_a_minute_and_each_further_one_for_twice_as_long_up_to_an_hour()
    {
        let mut health = DeliveryHealth::default();
        let mut minutes_long = Vec::new();
        for _ in 0..13 {
            health = health.after_failure(&failed(), now());
            minutes_long.push(health.cool_down_at(now()).map_or(0, |time| time.as_secs() / 60));
        }
        assert_eq!(minutes_long, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        health.failures = u32::MAX;
        assert_eq!(
            health.after_failure(&failed(), now()).cool_down_at(now()),
            Some(LONGEST_COOL_DOWN)
        );
    }

    #[test]
    fn a_cool_down_ends_at_its_time() {
        let health = DeliveryHealth {
            cools_down_until: Some(now()),
            ..DeliveryHealth::default()
        };
        assert_eq!(
            health.cool_down_at(now() - chrono::Duration::seconds(7)),
            Some(seconds(7))
        );
        assert_eq!(health.cool_down_at(now()), None);
        assert_eq!(health.cool_down_at(now() + chrono::Duration::seconds(7)), None);
    }

    #[test]
    fn a_receiver_that_asks_for_quiet_gets_it_if_it_is_longer_than_the_cool_down() {
        let asked = |seconds_asked| WebhookError::of_status(429, Some(seconds(seconds_asked)));
        let health = DeliveryHealth::default().after_failure(&asked(90), now());
        assert_eq!(health.cool_down_at(now()), Some(seconds(90)));
        let often = DeliveryHealth {
            failures: 8,
            ..DeliveryHealth::default()
        };
        let health = often.after_failure(&asked(90), now());
        assert_eq!(health.cool_down_at(now()), Some(minutes(16)));
    }

    #[test]
    fn five_days_without_one_that_was_taken_disable_it_and_so_does_a_410_at_once() {
        let mut health = DeliveryHealth::default();
        for hour in 0..120 {
            health = health.after_failure(&failed(), after(now(), hours(hour)));
            assert_eq!(health.disabled, None, "after {hour} h");
        }
        let last = after(now(), days(5));
        health = health.after_failure(&failed(), last);
        assert_eq!(health.disabled, Some((last, DisableReason::Failing)));

        let gone = DeliveryHealth::default().after_failure(&WebhookError::Gone, now());
        assert_eq!(gone.disabled, Some((now(), DisableReason::Gone)));
    }

    #[test]
    fn a_few_failures_far_apart_do_not_disable_it() {
        let one = DeliveryHealth::default().after_failure(&failed(), now());
        let other = one.after_failure(&failed(), after(now(), days(30)));
        assert_eq!(other.disabled, None);
    }
}
