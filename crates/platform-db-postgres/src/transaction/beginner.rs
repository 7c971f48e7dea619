//! How a transaction of a tenant begins.

use std::fmt::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{OrganizationId, ProjectId, Tenant};
use aftercommit_domain::unit_of_work::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgTransactionManager;
use sqlx::{AssertSqlSafe, PgPool, Postgres, SqlSafeStr as _};
use sqlx_core::transaction::TransactionManager as _;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::loan::Loan;
use crate::outbox::rows::scope_of;
use crate::pooler::limits;
use crate::transaction::PostgresTransaction;
use crate::transaction::line::Line;
use crate::trouble::{Trouble, told, trouble};
use crate::wake::Wake;

/// How long one waits for a commit before one looks at the pool as well.
const PATIENCE: Duration = Duration::from_millis(50);

/// What beginning needs.
pub(crate) struct Beginner {
    pub(crate) units: PgPool,
    pub(crate) tracker: TaskTracker,
    pub(crate) relay: Arc<Wake>,
    pub(crate) limit: Duration,
    /// A pooler is between.
    pub(crate) is_pooled: bool,
    pub(crate) line: Arc<Line>,
}

/// Why a transaction did not begin.
enum NotBegun {
    Answered(sqlx::Error),
    /// Within the limit of a statement.
    Unanswered,
}

enum Ready {
    Connected(PoolConnection<Postgres>),
    /// By whoever had the connection before.
    Begun(PostgresTransaction),
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
        // Connections that died in the pool, as all do when the server restarts, are found out by their `BEGIN`. Nothing has
        // happened yet, so another one may try; each is used up, a new one that fails ends it.
        let mut tries = self.units.size();
        loop {
            let connection = match self.connection(&sql).await {
                Ok(Ready::Begun(transaction)) => return Ok(transaction),
                Ok(Ready::Connected(connection)) => connection,
                Err(error) => return Err(unavailable(told(&error))),
            };
            match self.tracker.spawn(self.begin_on(connection, sql.clone())).await {
                Ok(Ok(transaction)) => return Ok(transaction),
                Ok(Err(NotBegun::Answered(error))) if tries > 0 && trouble(&error) == Trouble::Away => tries -= 1,
                Ok(Err(NotBegun::Answered(error))) => return Err(unavailable(told(&error))),
                Ok(Err(NotBegun::Unanswered)) => {
                    return Err(unavailable(format!("no answer within {:?}", self.limit)));
                }
                Err(error) => return Err(unavailable(error.to_string())),
            }
        }
    }

    /// A connection of the pool or, where all are in use, the one whose transaction ends next. Within the pool's own
    /// deadline.
    async fn connection(&self, sql: &str) -> Result<Ready, sqlx::Error> {
        let may_grow = self.units.size() < self.units.options().get_max_connections();
        if !may_grow && let Some(idle) = self.units.try_acquire() {
            return Ok(Ready::Connected(idle));
        }
        let mut acquiring = pin!(self.acquire(may_grow));
        if may_grow && let Ok(acquired) = timeout(PATIENCE, &mut acquiring).await {
            return Ok(Ready::Connected(acquired?));
        }
        let mut place = self.line.join(sql.to_owned());
        loop {
            let mut taken = tokio::select! {
                biased;
                Some(taken) = place.called() => taken,
                acquired = &mut acquiring => return Ok(Ready::Connected(acquired?)),
            };
            // Whoever called is committing. What the pool has meanwhile is for those who were not called.
            let ended = if let Ok(ended) = timeout(PATIENCE, &mut taken).await {
                ended
            } else {
                tokio::select! {
                    biased;
                    ended = taken => ended,
                    acquired = &mut acquiring => return Ok(Ready::Connected(acquired?)),
                }
            };
            match ended {
                Ok(begun) => return Ok(Ready::Begun(begun)),
                // That commit failed: still the first.
                Err(_) => place.wait_again(sql.to_owned()),
            }
        }
    }

    /// A connection that is being made goes on being made when nobody waits for it any more, because somebody's turn came
    /// earlier: it is the next one's.
    fn acquire(
        &self,
        may_grow: bool,
    ) -> impl Future<Output = Result<PoolConnection<Postgres>, sqlx::Error>> + Send + use<> {
        let (units, making) = (
            self.units.clone(),
            may_grow.then(|| self.tracker.spawn(self.units.acquire())),
        );
        async move {
            match making {
                Some(making) => making.await.unwrap_or(Err(sqlx::Error::WorkerCrashed)),
                None => units.acquire().await,
            }
        }
    }

    fn begin_on(
        &self,
        connection: PoolConnection<Postgres>,
        sql: String,
    ) -> impl Future<Output = Result<PostgresTransaction, NotBegun>> + Send + use<> {
        let mut transaction = PostgresTransaction {
            connection: Loan::new(connection, self.limit),
            relay: Arc::clone(&self.relay),
            line: Arc::clone(&self.line),
            taken_over: 0,
            has_messages: false,
            limit: self.limit,
            is_pooled: self.is_pooled,
            is_over: false,
        };
        async move {
            let begin = AssertSqlSafe(sql).into_sql_str();
            let begin = PgTransactionManager::begin(&mut transaction.connection, Some(begin));
            match timeout(transaction.limit, begin).await {
                Ok(Ok(())) => Ok(transaction),
                Ok(Err(error)) => {
                    transaction.give_up_connection();
                    Err(NotBegun::Answered(error))
                }
                Err(_) => {
                    transaction.give_up_connection();
                    Err(NotBegun::Unanswered)
                }
            }
        }
    }

    /// One round trip: a transaction begins and knows its tenant.
    fn begin_sql(&self, tenant: &Tenant) -> String {
        let scope = scope_of(tenant);
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
