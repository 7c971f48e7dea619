//! How values become columns, and what SQLite's errors mean.

use std::fmt::Write as _;

use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use chrono::DateTime;
use sqlx::error::DatabaseError as _;
use sqlx::sqlite::SqliteError;

/// A time as a column.
pub(crate) fn micros(time: Timestamp) -> i64 {
    time.timestamp_micros()
}

/// A column as a time. What no calendar has becomes its nearest end; nothing here writes such a number.
pub(crate) fn timestamp(micros: i64) -> Timestamp {
    DateTime::from_timestamp_micros(micros).unwrap_or(if micros < 0 {
        Timestamp::MIN_UTC
    } else {
        Timestamp::MAX_UTC
    })
}

/// A count as it is shown. Negative counts do not exist.
pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Attempts as they are shown.
pub(crate) fn attempts(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Row numbers as the JSON list that `json_each` takes: SQLite has no array parameters.
pub(crate) fn json_list(numbers: impl IntoIterator<Item = i64>) -> String {
    let mut list = String::from("[");
    for number in numbers {
        if list.len() > 1 {
            list.push(',');
        }
        // Writing to a string does not fail.
        let _ = write!(list, "{number}");
    }
    list.push(']');
    list
}

/// What can be done about an error of SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Away, busy, full or broken: the same statement may work later.
    Away,
    /// The statement itself.
    Refused,
    /// A unique row exists already.
    Duplicate,
}

/// Sorts an error.
pub(crate) fn trouble(error: &sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::Database(database) => match primary_code(&**database) {
            // ERROR, TOOBIG, CONSTRAINT, MISMATCH, MISUSE, AUTH, RANGE.
            Some(19) if database.is_unique_violation() => Trouble::Duplicate,
            Some(1 | 18 | 19 | 20 | 21 | 23 | 25) => Trouble::Refused,
            // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN and what is not known here.
            Some(_) | None => Trouble::Away,
        },
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::Encode(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::RowNotFound => Trouble::Refused,
        // The connection, its thread or the pool.
        _ => Trouble::Away,
    }
}

/// What an error means to whoever asked the store for `operation`.
pub(crate) fn store_error(operation: &'static str, error: &sqlx::Error) -> StoreError {
    let reason = error.to_string();
    match trouble(error) {
        Trouble::Away => StoreError::Unavailable { operation, reason },
        Trouble::Refused => StoreError::Refused { operation, reason },
        Trouble::Duplicate => StoreError::Duplicate { what: operation },
    }
}

/// Whether the connection itself is no longer of use: its thread ended, or SQLite rolled back on its own and the two no
/// longer agree about the transaction.
pub(crate) fn is_connection_lost(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::WorkerCrashed | sqlx::Error::InvalidSavePointStatement | sqlx::Error::BeginFailed
    )
}

/// Whether the disk failed while something was written: then it is not known what reached it.
pub(crate) fn is_disk_trouble(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => primary_code(&**database) == Some(10),
        sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) => true,
        _ => false,
    }
}

fn primary_code(error: &dyn sqlx::error::DatabaseError) -> Option<i32> {
    let code: i32 = error.try_downcast_ref::<SqliteError>()?.code()?.parse().ok()?;
    // The upper bits say more about the same thing.
    Some(code & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_numbers_become_a_json_list() {
        assert_eq!(json_list([]), "[]");
        assert_eq!(json_list([1, -2, 3]), "[1,-2,3]");
    }
}
