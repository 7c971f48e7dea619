//! How fast a bulk run goes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::{hours, minutes, seconds};

/// So many in a second, a minute or an hour, such as `10/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

/// The text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a number of 1 to 10000 and a unit, such as 10/s, 300/m or 50/h")]
pub struct InvalidRate;

impl Rate {
    /// The highest number.
    pub const MOST: u32 = 10_000;

    /// So many in a second; 1 to [`Rate::MOST`], or the nearest of them.
    pub const fn per_second(count: u32) -> Self {
        let count = if count == 0 {
            1
        } else if count > Self::MOST {
            Self::MOST
        } else {
            count
        };
        Self {
            count,
            unit: Unit::Second,
        }
    }

    /// How long one takes.
    pub fn interval(self) -> Duration {
        let whole = match self.unit {
            Unit::Second => seconds(1),
            Unit::Minute => minutes(1),
            Unit::Hour => hours(1),
        };
        whole / self.count
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let (count, unit) = text.split_once('/').ok_or(InvalidRate)?;
        let unit = match unit {
            "s" => Unit::Second,
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            _ => return Err(InvalidRate),
        };
        if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidRate);
        }
        let count = count.parse().map_err(|_| InvalidRate)?;
        if (1..=Self::MOST).contains(&count) {
            Ok(Self { count, unit })
        } else {
            Err(InvalidRate)
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Second => "s",
            Unit::Minute => "m",
            Unit::Hour => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_written_and_nothing_else_is_one() {
        for text in ["1/s", "10/s", "300/m", "50/h", "10000/s"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "10",
            "/s",
            "10/",
            "0/s",
            "-1/s",
            "+1/s",
            "1.5/s",
            "10001/s",
            "99999999999/s",
            "10/d",
            "10/S",
            " 10/s",
            "10 / s",
        ] {
            assert_eq!(text.parse::<Rate>(), Err(InvalidRate), "{text:?}");
        }
        assert_eq!("300/m".parse::<Rate>().unwrap().interval(), Duration::from_millis(200));
    }
}
