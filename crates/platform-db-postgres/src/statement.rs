//! Statements with a deadline: a server that hangs, or a link that is half open, keeps no connection.

use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::{PgConnection, PgPool};
use tokio::time::timeout;

use crate::loan::Loan;
use crate::options::PostgresOptions;
use crate::pooler::in_one_transaction;

/// Runs statements of one pool.
#[derive(Debug, Clone)]
pub struct Statements {
    pool: PgPool,
    limit: Duration,
    /// Set where a pooler is between: the limit of statements, which no session keeps there.
    pooled: Option<Duration>,
}

/// More than the server's own limit, so that the server's answer comes first while it answers at all.
const MARGIN: Duration = Duration::from_secs(2);

impl Statements {
    /// Statements of `pool`, each given up a little after the server's own `statement_timeout`.
    pub fn new(pool: PgPool, statement_timeout: Duration) -> Self {
        Self {
            pool,
            limit: statement_timeout.saturating_add(MARGIN),
            pooled: None,
        }
    }

    /// Statements of `pool` as `options` want them.
    pub(crate) fn of(pool: PgPool, options: &PostgresOptions) -> Self {
        Self {
            pooled: options.pgbouncer.then_some(options.statement_timeout),
            ..Self::new(pool, options.statement_timeout)
        }
    }

    /// Runs `run` on a connection. A connection whose statement was not answered in time, or not waited for, is closed
    /// instead of going back.
    ///
    /// # Errors
    /// What the server said; [`sqlx::Error::PoolTimedOut`] when it did not answer, and then it is not known what it did.
    pub async fn run<T, F>(&self, run: F) -> Result<T, sqlx::Error>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
    {
        let mut connection = Loan::new(self.pool.acquire().await?, self.limit);
        // Until it has answered.
        connection.set_spoiled(true);
        let answer = match self.pooled {
            None => timeout(self.limit, run(&mut connection)).await,
            Some(limit) => timeout(self.limit, in_one_transaction(&mut connection, limit, run)).await,
        };
        if let Ok(answer) = answer {
            // A link that failed is of no use to the next one.
            connection.set_spoiled(matches!(answer, Err(sqlx::Error::Io(_) | sqlx::Error::Protocol(_))));
            answer
        } else {
            Err(sqlx::Error::PoolTimedOut)
        }
    }
}
