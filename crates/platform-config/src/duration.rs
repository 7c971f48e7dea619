//! Durations as people write them: `30s`, `5m`, `1h 30m`, `14d`.

use std::{fmt, time::Duration};

/// The accepted units, largest first. `m` is a minute; there is no month to confuse it with.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// How a duration is written.
pub(crate) const ACCEPTED: &str = "a duration such as 500ms, 30s, 5m, 1h 30m or 14d";

/// Reads a duration. `None` when it is anything else: no unit, a sign, a fraction, an exponent, or too large for
/// 64 bits of milliseconds.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim_matches(' ');
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|character: char| !character.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let milliseconds = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(milliseconds)?)?;
        rest = after.trim_start_matches(' ');
    }
    Some(Duration::from_millis(total))
}

/// Writes a duration in the form in which it can be read again.
pub(crate) struct Written(pub(crate) Duration);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        let mut separator = "";
        for (unit, milliseconds) in UNITS {
            let count = rest / milliseconds;
            rest %= milliseconds;
            if count > 0 {
                write!(f, "{separator}{count}{unit}")?;
                separator = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_forms_are_read() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h 30m", 5_400_000),
            ("1h30m", 5_400_000),
            ("14d", 1_209_600_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            " ",
            "5",
            "0",
            "-1s",
            "+1s",
            "1e9h",
            "1.5s",
            "5 minutes",
            "5M",
            "s",
            "30 s",
            "1h,30m",
            "30s\n",
            "∞",
            "18446744073709551615d",
            "99999999999999999999s",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for milliseconds in [0, 1, 999, 1_000, 61_001, 5_400_000, 1_209_600_000, 90_061_001] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse(&Written(duration).to_string()), Some(duration));
        }
    }
}
