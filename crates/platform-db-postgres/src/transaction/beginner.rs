//! How a transaction of a tenant begins.

use std::fmt::Write as _;
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
        let ready = self.connection(&sql).await.map_err(|error| unavailable(told(&error)))?;
        let connection = match ready {
            Ready::Begun(transaction) => return Ok(transaction),
            Ready::Connected(connection) => connection,
        };
        match self.tracker.spawn(self.begin_on(connection, sql)).await {
            Ok(Ok(transaction)) => Ok(transaction),
            Ok(Err(error)) => Err(unavailable(told(&error))),
            Err(error) => Err(unavailable(error.to_string())),
        }
    }

    /// A connection of the pool or, where all are in use, the one whose transaction ends next.
    async fn connection(&self, sql: &str) -> Result<Ready, sqlx::Error> {
        if self.units.size() < self.units.options().get_max_connections() {
            // Makes a connection, which is not to be given up half made because somebody's turn comes earlier.
            return Ok(Ready::Connected(self.units.acquire().await?));
        }
        if let Some(idle) = self.units.try_acquire() {
            return Ok(Ready::Connected(idle));
        }
        let mut place = self.line.join(sql.to_owned());
        let mut taken = tokio::select! {
            biased;
            Some(taken) = place.called() => taken,
            acquired = self.units.acquire() => return Ok(Ready::Connected(acquired?)),
        };
        // Whoever called is committing. What the pool has meanwhile is for those who were not called.
        match timeout(PATIENCE, &mut taken).await {
            Ok(Ok(begun)) => return Ok(Ready::Begun(begun)),
            Ok(Err(_)) => return Ok(Ready::Connected(self.units.acquire().await?)),
            Err(_) => {}
        }
        tokio::select! {
            biased;
            Ok(begun) = taken => Ok(Ready::Begun(begun)),
            acquired = self.units.acquire() => Ok(Ready::Connected(acquired?)),
        }
    }

    fn begin_on(
        &self,
        mut connection: PoolConnection<Postgres>,
        sql: String,
    ) -> impl Future<Output = Result<PostgresTransaction, sqlx::Error>> + Send + use<> {
        let (units, limit) = (self.units.clone(), self.limit);
        let (relay, line, is_pooled) = (Arc::clone(&self.relay), Arc::clone(&self.line), self.is_pooled);
        async move {
            // Connections that died in the pool, as all do when the server restarts, are found out by their `BEGIN`.
            // Nothing has happened yet, so another one may try; each is used up, a new one that fails ends it.
            let mut tries = units.size();
            loop {
                let mut transaction = PostgresTransaction {
                    connection: Loan::new(connection, limit),
                    relay: Arc::clone(&relay),
                    line: Arc::clone(&line),
                    taken_over: 0,
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
                drop(transaction);
                tries -= 1;
                connection = units.acquire().await?;
            }
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
