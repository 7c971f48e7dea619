//! A transaction of a unit of work.

mod beginner;
mod line;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::unit_of_work::{CommitError, StoreError};
use futures::TryStreamExt as _;
use sqlx::postgres::PgTransactionManager;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use sqlx_core::transaction::TransactionManager as _;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::loan::Loan;
use crate::pooler::forget_statements;
pub(crate) use crate::transaction::beginner::Beginner;
pub(crate) use crate::transaction::line::Line;
use crate::transaction::line::Turn;
use crate::trouble::{Trouble, is_in_doubt, told, trouble};
use crate::wake::Wake;

/// A connection goes from one transaction to the next at most this often before the pool looks at it again.
const MOST_TAKEN_OVER: u32 = 1000;
/// Fails in a transaction one of whose statements failed, which `COMMIT` would roll back without an error.
const CHECK: &str = "SELECT 1";

/// An open transaction. Dereferences to sqlx's connection, so any sqlx query runs in it. Dropped without
/// [`commit`](Self::commit), it rolls back.
pub struct PostgresTransaction {
    connection: Loan,
    relay: Arc<Wake>,
    line: Arc<Line>,
    /// How often the connection went from one transaction to the next without the pool.
    taken_over: u32,
    /// Whether the relay has something to do once this is committed.
    has_messages: bool,
    limit: Duration,
    is_pooled: bool,
    is_over: bool,
}

impl PostgresTransaction {
    /// Notes that the relay has something to do once this is committed.
    pub(crate) fn wake_relay_after_commit(&mut self) {
        self.has_messages = true;
    }

    /// Makes everything durable and wakes the relay.
    ///
    /// # Errors
    /// [`CommitError::RolledBack`], [`CommitError::Conflict`] and [`CommitError::Refused`] when nothing was changed,
    /// [`CommitError::Unknown`] when the reply was lost: everything was changed, or nothing.
    pub async fn commit(mut self) -> Result<(), CommitError> {
        if let Some(turn) = self.next_in_line() {
            return self.commit_and_begin(turn, true).await;
        }
        match timeout(self.limit, self.connection.execute(CHECK)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(rolled_back(&error)),
            Err(_) => {
                self.give_up_connection();
                return Err(CommitError::RolledBack {
                    reason: format!("no answer within {:?}", self.limit),
                });
            }
        }
        self.commit_checked().await
    }

    /// Commits right after a statement of it was answered.
    pub(crate) async fn commit_checked(mut self) -> Result<(), CommitError> {
        if let Some(turn) = self.next_in_line() {
            return self.commit_and_begin(turn, false).await;
        }
        if self.is_pooled {
            match timeout(self.limit, forget_statements(&mut self.connection)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    self.give_up_connection();
                    return Err(rolled_back(&error));
                }
                Err(_) => {
                    self.give_up_connection();
                    return Err(CommitError::RolledBack {
                        reason: format!("no answer within {:?}", self.limit),
                    });
                }
            }
        }
        match timeout(self.limit, PgTransactionManager::commit(&mut self.connection)).await {
            Ok(Ok(())) => {
                self.is_over = true;
                Ok(())
            }
            ended => Err(self.not_committed(ended)),
        }
    }

    /// What a commit that was not answered as done has come to.
    fn not_committed<T>(&mut self, ended: Result<Result<T, sqlx::Error>, Elapsed>) -> CommitError {
        let reason = match ended {
            Ok(Err(error)) if !is_in_doubt(&error) => return rolled_back(&error),
            Ok(Err(error)) => told(&error),
            Ok(Ok(_)) | Err(_) => format!("the commit was not answered within {:?}", self.limit),
        };
        self.give_up_connection();
        CommitError::Unknown { reason }
    }

    fn next_in_line(&self) -> Option<Turn> {
        // Behind a pooler what was prepared is to be forgotten first.
        if self.is_pooled || self.taken_over >= MOST_TAKEN_OVER {
            return None;
        }
        self.line.call()
    }

    /// Commits, and begins for whoever is next, in one message: what fails in it ends it there.
    async fn commit_and_begin(mut self, turn: Turn, is_to_be_checked: bool) -> Result<(), CommitError> {
        let Turn { begin, taker } = turn;
        let (sql, until_committed) = if is_to_be_checked {
            (format!("{CHECK}; COMMIT; {begin}"), 2)
        } else {
            (format!("COMMIT; {begin}"), 1)
        };
        let mut answered = 0;
        let committing = async {
            let mut answers = self.connection.execute_many(AssertSqlSafe(sql));
            while answers.try_next().await?.is_some() {
                answered += 1;
            }
            Ok::<(), sqlx::Error>(())
        };
        let ended = timeout(self.limit, committing).await;
        if !matches!(ended, Ok(Ok(()))) && answered >= until_committed {
            // It is committed, whatever became of the beginning. Whoever was next goes on waiting for the pool.
            self.give_up_connection();
            return Ok(());
        }
        match ended {
            Ok(Ok(())) => {
                if self.has_messages {
                    self.relay.committed();
                    self.has_messages = false;
                }
                self.taken_over += 1;
                // Nobody takes it any more: dropped, it rolls back.
                drop(taker.send(self));
                Ok(())
            }
            ended => Err(self.not_committed(ended)),
        }
    }

    /// Undoes everything. The same as dropping it, but done when it returns.
    ///
    /// # Errors
    /// When the connection is of no use any more; nothing was changed all the same.
    pub async fn rollback(mut self) -> Result<(), StoreError> {
        let unavailable = |reason: String| StoreError::Unavailable {
            operation: "rollback",
            reason,
        };
        let is_pooled = self.is_pooled;
        let roll_back = async {
            if is_pooled {
                forget_statements(&mut self.connection).await?;
            }
            PgTransactionManager::rollback(&mut self.connection).await
        };
        match timeout(self.limit, roll_back).await {
            Ok(Ok(())) => {
                self.is_over = true;
                self.has_messages = false;
                Ok(())
            }
            Ok(Err(error)) => {
                self.give_up_connection();
                Err(unavailable(told(&error)))
            }
            Err(_) => {
                self.give_up_connection();
                Err(unavailable("no answer".into()))
            }
        }
    }

    /// It is not known what the server is doing for it: nobody else gets it.
    pub(crate) fn give_up_connection(&mut self) {
        self.is_over = true;
        self.connection.set_spoiled(true);
    }
}

impl Drop for PostgresTransaction {
    fn drop(&mut self) {
        if !self.is_over && self.is_pooled {
            // What it prepared is to be forgotten before it ends, and nobody waits here for that.
            self.connection.set_spoiled(true);
        } else if !self.is_over {
            // Sent when the connection goes back to its pool, which waits for the answer.
            PgTransactionManager::start_rollback(&mut self.connection);
        }
        // Also after a commit whose answer was lost: it may have happened.
        if self.has_messages {
            self.relay.committed();
        }
    }
}

fn rolled_back(error: &sqlx::Error) -> CommitError {
    let reason = told(error);
    match trouble(error) {
        Trouble::Away => CommitError::RolledBack { reason },
        Trouble::Conflict => CommitError::Conflict { reason },
        Trouble::Refused | Trouble::Duplicate => CommitError::Refused { reason },
    }
}

impl Deref for PostgresTransaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for PostgresTransaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl fmt::Debug for PostgresTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTransaction")
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}
