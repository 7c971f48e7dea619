//! How values become columns.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;

/// A duration as a column; what is longer than an interval holds becomes the longest.
pub(crate) fn interval(duration: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX),
    }
}

/// A count as it is shown. Negative counts do not exist.
pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Attempts as they are shown.
pub(crate) fn attempts(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Attempts as a column.
pub(crate) fn attempts_column(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
