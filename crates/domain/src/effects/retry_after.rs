//! `Retry-After`: how long the other side asks to be left alone.

use std::time::Duration;

use chrono::DateTime;

use crate::time::{Timestamp, hours, seconds};

/// The longest `Retry-After` that is honoured; a longer one counts as this.
pub const LONGEST_RETRY_AFTER: Duration = hours(24);

/// How long a `Retry-After` header says to wait from `now`: a number of seconds or a date, at least a second and at most
/// [`LONGEST_RETRY_AFTER`]. `None` when it is neither.
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    let asked = if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are longer than is honoured.
        seconds(header.parse().unwrap_or(u64::MAX))
    } else {
        let date = DateTime::parse_from_rfc2822(header).ok()?;
        (date.to_utc() - now).to_std().unwrap_or_default()
    };
    Some(asked.clamp(seconds(1), LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_honoured_within_a_second_and_a_day() {
        let now: Timestamp = "2026-11-28T23:00:00Z".parse().unwrap();
        for (header, expected) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("0", Some(1)),
            ("86400", Some(86_400)),
            ("86401", Some(86_400)),
            ("99999999999999999999999999", Some(86_400)),
            ("Sat, 28 Nov 2026 23:01:30 GMT", Some(90)),
            ("Sat, 28 Nov 2026 22:00:00 GMT", Some(1)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(header, now), expected.map(seconds), "{header:?}");
        }
    }
}
