//! A transaction of a unit of work.

use std::fmt::{self, Write as _};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{OrganizationId, ProjectId, Tenant};
use aftercommit_domain::unit_of_work::{CommitError, StoreError};
use sqlx::postgres::PgTransactionManager;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, PgPool, SqlSafeStr as _};
use sqlx_core::transaction::TransactionManager as _;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::loan::Loan;
use crate::pooler::{forget_statements, limits};
use crate::trouble::{Trouble, is_in_doubt, told, trouble};
use crate::wake::Wake;

/// An open transaction. Dereferences to sqlx's connection, so any sqlx query runs in it. Dropped without
/// [`commit`](Self::commit), it rolls back.
pub struct PostgresTransaction {
    connection: Loan,
    relay: Arc<Wake>,
    /// Whether the relay has something to do once this is committed.
    has_messages: bool,
    limit: Duration,
    is_pooled: bool,
    is_over: bool,
}

/// What beginning needs.
pub(crate) struct Beginner {
    pub(crate) units: PgPool,
    pub(crate) tracker: TaskTracker,
    pub(crate) relay: Arc<Wake>,
    pub(crate) limit: Duration,
    /// A pooler is between.
    pub(crate) is_pooled: bool,
}

impl Beginner {
    /// Begins a transaction of `tenant`. Cancelling the call at any point leaves no transaction open: the beginning goes
    /// on by itself, and what nobody waits for any more is rolled back.
    pub(crate) async fn begin(&self, tenant: &Tenant) -> Result<PostgresTransaction, StoreError> {
        let unavailable = |reason: String| StoreError::Unavailable {
            operation: "begin",
            reason,
        };
        let sql = self.begin_sql(tenant);
        let (units, relay, limit) = (self.units.clone(), Arc::clone(&self.relay), self.limit);
        let is_pooled = self.is_pooled;
        let begun = self.tracker.spawn(async move {
            // Connections that died in the pool, as all do when the server restarts, are found out by their `BEGIN`.
            // Nothing has happened yet, so another one may try; each is used up, a new one that fails ends it.
            let mut tries = units.size() + 1;
            loop {
                tries -= 1;
                let connection = Loan::new(units.acquire().await?, limit);
                let mut transaction = PostgresTransaction {
                    connection,
                    relay: Arc::clone(&relay),
                    has_messages: false,
                    limit,
                    is_pooled,
                    is_over: false,
                };
                let begin = AssertSqlSafe(sql.clone()).into_sql_str();
                let begin = PgTransactionManager::begin(&mut transaction.connection, Some(begin));
                match timeout(limit, begin).await {
                    Ok(Ok(())) => return Ok(transaction),
                    Ok(Err(error)) => {
                        transaction.give_up_connection();
                        if tries == 0 || trouble(&error) != Trouble::Away {
                            return Err(error);
                        }
                    }
                    Err(_) => {
                        transaction.give_up_connection();
                        return Err(sqlx::Error::PoolTimedOut);
                    }
                }
            }
        });
        match begun.await {
            Ok(Ok(transaction)) => Ok(transaction),
            Ok(Err(error)) => Err(unavailable(told(&error))),
            Err(error) => Err(unavailable(error.to_string())),
        }
    }

    /// One round trip: a transaction begins and knows its tenant.
    fn begin_sql(&self, tenant: &Tenant) -> String {
        let scope = match tenant {
            Tenant::System => "system",
            Tenant::Organization { .. } => "organization",
            Tenant::Project { .. } => "project",
        };
        let mut sql = format!("BEGIN; SET LOCAL aftercommit.scope = '{scope}'");
        let organization = tenant.organization_id().map(OrganizationId::as_str);
        let project = tenant.project_id().map(ProjectId::as_str);
        for (name, value) in [("organization_id", organization), ("project_id", project)] {
            if let Some(value) = value {
                // Writing to a String cannot fail.
                let _ = write!(sql, "; SET LOCAL aftercommit.{name} = {}", literal(value));
            }
        }
        if self.is_pooled {
            let _ = write!(sql, "; {}", limits(self.limit));
        }
        sql
    }
}

/// A text as a literal that means the same whatever `standard_conforming_strings` is.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
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
        // A transaction one of whose statements failed answers COMMIT by rolling back without an error.
        match timeout(self.limit, self.connection.execute("SELECT 1")).await {
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
            Ok(Err(error)) if is_in_doubt(&error) => {
                self.give_up_connection();
                Err(CommitError::Unknown { reason: told(&error) })
            }
            Ok(Err(error)) => Err(rolled_back(&error)),
            Err(_) => {
                self.give_up_connection();
                Err(CommitError::Unknown {
                    reason: format!("the commit was not answered within {:?}", self.limit),
                })
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_id_cannot_end_its_literal() {
        assert_eq!(literal("acme"), "E'acme'");
        assert_eq!(literal("a'; DROP TABLE x; --"), "E'a''; DROP TABLE x; --'");
        assert_eq!(literal("a\\'"), "E'a\\\\'''");
    }
}
