//! Where a schedule's clock hangs.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::{TZ_VARIANTS, Tz};
use serde::{Deserialize, Serialize};

use super::InvalidCron;

/// A time zone of the IANA database, such as `Europe/Berlin`. Defaults to `UTC`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(Tz);

impl Zone {
    /// Coordinated universal time, which is never set.
    pub const UTC: Self = Self(Tz::UTC);

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// How many seconds its clocks are ahead of UTC at this second since 1970.
    pub(super) fn offset_at(self, second: i64) -> i64 {
        let at = DateTime::from_timestamp(second, 0).unwrap_or_default().naive_utc();
        self.0.offset_from_utc_datetime(&at).fix().local_minus_utc().into()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl FromStr for Zone {
    type Err = InvalidCron;

    fn from_str(text: &str) -> Result<Self, InvalidCron> {
        text.parse().map(Self).map_err(|_| {
            let shown: String = text.chars().take(64).collect();
            let same = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(text));
            let expected = same.map_or("Europe/Berlin", |zone| zone.name());
            InvalidCron {
                subject: "zone",
                field: None,
                column: 1,
                reason: format!("{shown:?} is no zone of the IANA database, such as {expected}"),
            }
        })
    }
}

impl TryFrom<String> for Zone {
    type Error = InvalidCron;

    fn try_from(text: String) -> Result<Self, InvalidCron> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name().to_owned()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_nobody_knows_is_refused_and_one_in_other_letters_is_named() {
        for (text, expected) in [
            (
                "",
                r#"the zone is invalid at column 1: "" is no zone of the IANA database"#,
            ),
            (
                "Mars/Olympus",
                r#"the zone is invalid at column 1: "Mars/Olympus" is no zone"#,
            ),
            ("europe/berlin", "such as Europe/Berlin"),
            ("utc", "such as UTC"),
        ] {
            let refused = text.parse::<Zone>().unwrap_err();
            assert_eq!(refused.code(), "cron.invalid");
            assert!(refused.to_string().contains(expected), "{refused}");
        }
        let long = "x".repeat(10_240).parse::<Zone>().unwrap_err();
        assert!(long.to_string().len() < 200);
        assert_eq!("America/New_York".parse::<Zone>().unwrap().name(), "America/New_York");
    }
}
