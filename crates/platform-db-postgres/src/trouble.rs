//! What PostgreSQL's errors mean, decided in this one place.

use aftercommit_domain::unit_of_work::StoreError;

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Away, restarting, full, read-only or too slow: the same statement may work later.
    Away,
    /// Another transaction was in the way: the whole transaction may be tried again.
    Conflict,
    /// The statement itself.
    Refused,
    /// A unique row exists already.
    Duplicate,
}

/// What an error means to whoever asked the store for `operation`.
pub fn store_error(operation: &'static str, error: &sqlx::Error) -> StoreError {
    let reason = told(error);
    match trouble(error) {
        Trouble::Away => StoreError::Unavailable { operation, reason },
        Trouble::Conflict => StoreError::Conflict { operation, reason },
        Trouble::Refused => StoreError::Refused { operation, reason },
        Trouble::Duplicate => StoreError::Duplicate { what: operation },
    }
}

/// Sorts an error.
pub fn trouble(error: &sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::Database(database) => database.code().map_or(Trouble::Away, |code| of_sqlstate(&code)),
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::Encode(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::RowNotFound => Trouble::Refused,
        // The connection or the pool.
        _ => Trouble::Away,
    }
}

/// Sorts an SQLSTATE.
fn of_sqlstate(code: &str) -> Trouble {
    match code {
        "23505" => Trouble::Duplicate,
        // Serialization failure, deadlock, lock not available.
        "40001" | "40P01" | "55P03" => Trouble::Conflict,
        // Only a replica says so: the primary is elsewhere now. And a transaction that took too long, for instance because its
        // process was stopped, is over with its connection: it did nothing, and says nothing about its statements.
        "25006" | "25P03" | "25P04" => Trouble::Away,
        _ => match code.get(..2) {
            // Feature, cardinality, data, constraint, transaction state, syntax or access, check option.
            Some("0A" | "21" | "22" | "23" | "25" | "42" | "44" | "P0") => Trouble::Refused,
            // Connection, resources, limits, operator, system, and what is not known here.
            _ => Trouble::Away,
        },
    }
}

/// What is said of an error: the server's message without its details, which repeat values of rows.
pub fn told(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => match database.code() {
            Some(code) => format!("{} ({code})", database.message()),
            None => database.message().to_owned(),
        },
        other => other.to_string(),
    }
}

/// Whether a commit that ended so may have happened all the same.
pub(crate) fn is_in_doubt(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => database
            .code()
            .is_none_or(|code| matches!(code.get(..2), Some("08" | "57" | "58" | "XX"))),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_of_sqlstate_has_its_answer() {
        for (codes, expected) in [
            (&["23505"][..], Trouble::Duplicate),
            (&["40001", "40P01", "55P03"], Trouble::Conflict),
            (
                &["22P02", "23503", "42501", "42P01", "25P02", "P0001"],
                Trouble::Refused,
            ),
            (
                &[
                    "08006", "25006", "25P03", "25P04", "53100", "53300", "57014", "57P01", "57P03", "58030", "XX000",
                ],
                Trouble::Away,
            ),
        ] {
            for code in codes {
                assert_eq!(of_sqlstate(code), expected, "{code}");
            }
        }
    }
}
