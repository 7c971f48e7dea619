//! A month of a project.

use chrono::{Datelike, NaiveDate};

use crate::time::Timestamp;

/// What a project used in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsagePeriod {
    /// The first day of the month, in UTC.
    pub month: NaiveDate,
    /// Batches of records.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
}

/// The first day of the month of `time`, in UTC.
pub fn month_of(time: Timestamp) -> NaiveDate {
    let day = time.date_naive();
    day.with_day(1).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_with_its_first_day_in_utc() {
        for (time, month) in [
            ("2026-11-30T23:59:59.999999Z", "2026-11-01"),
            ("2026-12-01T00:00:00Z", "2026-12-01"),
            ("2024-02-29T12:00:00Z", "2024-02-01"),
        ] {
            assert_eq!(month_of(time.parse().unwrap()).to_string(), month);
        }
    }
}
