//! How values become columns.

use std::borrow::Cow;
use std::time::Duration;

/// A duration as a column: microseconds.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A count as it is shown. Negative counts do not exist.
pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Attempts as they are shown.
pub(crate) fn attempts(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// A number of attempts or runs as a column, with room to count on.
pub(crate) fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX).min(i32::MAX / 2)
}

/// A text as a column: PostgreSQL's texts hold no NUL.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', " "))
    } else {
        Cow::Borrowed(text)
    }
}
