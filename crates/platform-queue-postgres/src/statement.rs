//! Statements with a deadline, and what their failures mean to a queue.

use std::fmt;
use std::time::Duration;

use aftercommit_domain::unit_of_work::StoreError;
use aftercommit_platform_db_postgres::{Loan, PostgresOptions, in_one_transaction, trouble};
use futures::future::BoxFuture;
use sqlx::{PgConnection, PgPool};
use tokio::time::timeout;

/// More than the server's own limit, so that the server's answer comes first while it answers at all.
const MARGIN: Duration = Duration::from_secs(2);
/// The database's own word for a consumer that has lost its lease.
const LEASE_LOST: &str = "AC001";
/// And for rows of the outbox that another relay holds by now.
const ROWS_LOST: &str = "AC002";

/// Runs statements of one pool.
#[derive(Debug, Clone)]
pub(crate) struct Statements {
    pool: PgPool,
    limit: Duration,
    /// Set where a pooler is between: the limit of statements, which no session keeps there.
    pooled: Option<Duration>,
}

/// Why a statement failed.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) kind: TroubleKind,
    pub(crate) reason: String,
}

/// What can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TroubleKind {
    /// Not done: away, too slow, or out of room. The same statement may work later.
    Away,
    /// Not done, because of someone else's at the same moment. The same statement may work at once.
    Conflict,
    /// Done or not done: the answer was lost.
    Unknown,
    /// Not done: the statement itself.
    Refused,
    /// Not done: the consumer has lost its lease.
    LeaseLost,
    /// Not done: another relay holds some of the rows.
    RowsLost,
}

impl Statements {
    /// Statements of `pool`, each given up a little after the server's own `statement_timeout`.
    pub(crate) fn of(pool: PgPool, options: &PostgresOptions) -> Self {
        Self {
            pool,
            limit: options.statement_timeout.saturating_add(MARGIN),
            pooled: options.pgbouncer.then_some(options.statement_timeout),
        }
    }

    /// Runs `run` on a connection of its own. A connection whose statement was not answered in time, or not waited for, is
    /// closed instead of going back.
    ///
    /// `run` reads the answer to its end: a row may come before its transaction is committed.
    pub(crate) async fn run<T, F>(&self, run: F) -> Result<T, Trouble>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
    {
        let connection = self.pool.acquire().await.map_err(|error| Trouble {
            kind: TroubleKind::Away,
            reason: trouble::told(&error),
        })?;
        let mut connection = Loan::new(connection, self.limit);
        // Until it has answered.
        connection.set_spoiled(true);
        let answer = match self.pooled {
            None => timeout(self.limit, run(&mut connection)).await,
            Some(limit) => timeout(self.limit, in_one_transaction(&mut connection, limit, run)).await,
        };
        match answer {
            Ok(Ok(value)) => {
                connection.set_spoiled(false);
                Ok(value)
            }
            Ok(Err(error)) => {
                let trouble = Trouble::of(&error);
                connection.set_spoiled(trouble.kind == TroubleKind::Unknown);
                Err(trouble)
            }
            Err(_) => Err(Trouble {
                kind: TroubleKind::Unknown,
                reason: format!("no answer within {:?}", self.limit),
            }),
        }
    }
}

impl Trouble {
    /// The answer once the queue is closed.
    pub(crate) fn closed() -> Self {
        Self {
            kind: TroubleKind::Away,
            reason: "the queue is closed".into(),
        }
    }

    fn of(error: &sqlx::Error) -> Self {
        Self {
            kind: kind(error),
            reason: trouble::told(error),
        }
    }

    /// What it means to whoever asked the store for `operation`.
    pub(crate) fn into_store_error(self, operation: &'static str) -> StoreError {
        let reason = self.reason;
        match self.kind {
            TroubleKind::Away | TroubleKind::Unknown => StoreError::Unavailable { operation, reason },
            TroubleKind::Conflict => StoreError::Conflict { operation, reason },
            TroubleKind::Refused | TroubleKind::LeaseLost | TroubleKind::RowsLost => {
                StoreError::Refused { operation, reason }
            }
        }
    }

    /// Whether the same may be done when it is tried again.
    pub(crate) fn may_pass(&self) -> bool {
        match self.kind {
            TroubleKind::Away | TroubleKind::Conflict | TroubleKind::Unknown => true,
            TroubleKind::Refused | TroubleKind::LeaseLost | TroubleKind::RowsLost => false,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

fn kind(error: &sqlx::Error) -> TroubleKind {
    if let sqlx::Error::Database(database) = error {
        let code = database.code();
        if code.as_deref() == Some(LEASE_LOST) {
            return TroubleKind::LeaseLost;
        }
        if code.as_deref() == Some(ROWS_LOST) {
            return TroubleKind::RowsLost;
        }
        // A cancelled statement was rolled back; a connection that was ended, perhaps after its commit.
        if code.as_deref().is_some_and(is_in_doubt) {
            return TroubleKind::Unknown;
        }
    }
    match trouble::trouble(error) {
        // A row that somebody else has added at the same moment is there the next time.
        trouble::Trouble::Conflict | trouble::Trouble::Duplicate => TroubleKind::Conflict,
        trouble::Trouble::Refused => TroubleKind::Refused,
        trouble::Trouble::Away => match error {
            sqlx::Error::Database(_) => TroubleKind::Away,
            _ => TroubleKind::Unknown,
        },
    }
}

fn is_in_doubt(code: &str) -> bool {
    code != "57014" && matches!(code.get(..2), Some("08" | "57" | "58" | "XX"))
}
