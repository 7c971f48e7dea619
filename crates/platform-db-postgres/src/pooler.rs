//! Statements through a pooler that gives a client another server connection for each transaction.
//!
//! sqlx prepares a statement and executes it in two messages, each with a name on the server connection. Outside a
//! transaction the second may reach another server, which knows no such statement or, worse, another one of that name. So
//! everything happens in a transaction, and what was prepared in it is forgotten before it ends: that works with every
//! version of PgBouncer, whether it follows prepared statements (1.21 and newer) or not.

use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::postgres::PgTransactionManager;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqlSafeStr as _};
use sqlx_core::transaction::TransactionManager as _;

/// What a session would be told when it begins, for one transaction.
pub(crate) fn limits(statement_timeout: Duration) -> String {
    let millis = statement_timeout.as_millis();
    format!(
        "SET LOCAL statement_timeout = {millis}; SET LOCAL lock_timeout = {millis}; \
         SET LOCAL idle_in_transaction_session_timeout = {millis}; SET LOCAL client_min_messages = error; \
         SET LOCAL jit = off"
    )
}

/// Forgets what was prepared, before the transaction ends.
pub(crate) async fn forget_statements(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.clear_cached_statements().await
}

/// Runs `run` in a transaction of its own. What it begins inside is a part of it.
///
/// # Errors
/// Those of `run`, and then nothing was changed; those of the commit. A connection on which this was not waited for to its
/// end is of no use to anybody.
pub async fn in_one_transaction<T, F>(
    connection: &mut PgConnection,
    statement_timeout: Duration,
    run: F,
) -> Result<T, sqlx::Error>
where
    F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
{
    // Whoever has waited for its turn must see what was done meanwhile, whatever the role is set to.
    let begin = format!("BEGIN ISOLATION LEVEL READ COMMITTED; {}", limits(statement_timeout));
    let begin = AssertSqlSafe(begin).into_sql_str();
    PgTransactionManager::begin(connection, Some(begin)).await?;
    let answer = run(connection).await;
    // Also after an error: a transaction that failed takes no statements, but still forgets them.
    let forgotten = forget_statements(connection).await;
    match answer {
        Ok(value) => {
            forgotten?;
            PgTransactionManager::commit(connection).await?;
            Ok(value)
        }
        Err(error) => {
            if let Err(second) = PgTransactionManager::rollback(connection).await {
                tracing::debug!(error = %crate::trouble::told(&second), "a transaction was not rolled back in order");
                // It is not used again: this is what tells that the link is of no use.
                return Err(second);
            }
            forgotten?;
            Err(error)
        }
    }
}
