//! The rows of the product as one unit of work sees them.

use std::time::Duration;

use aftercommit_domain::contract::{OrganizationId, ProjectId, Sealer};
use aftercommit_domain::reference::Digest;
use aftercommit_domain::unit_of_work::StoreError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::{Query, QueryAs};
use sqlx::{FromRow, Postgres};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::transaction::PostgresTransaction;
use crate::trouble::store_error;

/// The longest one statement may take. They are all short; what takes longer is a server that does not answer, or a row
/// that another unit of work holds for too long.
const STATEMENT: Duration = Duration::from_secs(10);

/// The rows of one organization, and of those tables that belong to none. Implements every repository port.
///
/// Each statement names its organization although row-level security would do: for the system's units of work, which
/// that lets see everything, and for the indexes.
pub(super) struct Rows<'t> {
    pub(super) transaction: &'t mut PostgresTransaction,
    pub(super) sealer: &'t dyn Sealer,
    /// Empty when the unit of work was begun for none: no organization's id is.
    pub(super) organization: &'t str,
}

impl Rows<'_> {
    /// Runs a statement. Answers how many rows it changed.
    pub(super) async fn run(
        &mut self,
        operation: &'static str,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> Result<u64, StoreError> {
        let done = timeout(STATEMENT, statement.execute(&mut **self.transaction)).await;
        Ok(self.answer(operation, done)?.rows_affected())
    }

    /// Runs a statement that answers one row or none.
    pub(super) async fn optional<T>(
        &mut self,
        operation: &'static str,
        statement: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> Result<Option<T>, StoreError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let done = timeout(STATEMENT, statement.fetch_optional(&mut **self.transaction)).await;
        self.answer(operation, done)
    }

    /// Runs a statement that answers one row.
    pub(super) async fn one<T>(
        &mut self,
        operation: &'static str,
        statement: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> Result<T, StoreError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let done = timeout(STATEMENT, statement.fetch_one(&mut **self.transaction)).await;
        self.answer(operation, done)
    }

    /// Runs a statement that answers rows.
    pub(super) async fn all<T>(
        &mut self,
        operation: &'static str,
        statement: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let done = timeout(STATEMENT, statement.fetch_all(&mut **self.transaction)).await;
        self.answer(operation, done)
    }

    fn answer<T>(
        &mut self,
        operation: &'static str,
        done: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, StoreError> {
        if let Ok(done) = done {
            return done.map_err(|error| store_error(operation, &error));
        }
        self.transaction.give_up_connection();
        Err(StoreError::Unavailable {
            operation,
            reason: format!("no answer within {STATEMENT:?}"),
        })
    }
}

/// A column that does not hold what it must.
pub(super) fn corrupt(what: &'static str, reason: &(impl ToString + ?Sized)) -> StoreError {
    StoreError::Corrupt {
        what,
        reason: reason.to_string(),
    }
}

pub(super) fn organization_id(text: &str, what: &'static str) -> Result<OrganizationId, StoreError> {
    OrganizationId::new(text).map_err(|error| corrupt(what, &error))
}

pub(super) fn project_id(text: &str, what: &'static str) -> Result<ProjectId, StoreError> {
    ProjectId::new(text).map_err(|error| corrupt(what, &error))
}

pub(super) fn digest(bytes: &[u8], what: &'static str) -> Result<Digest, StoreError> {
    Digest::from_bytes(bytes).ok_or_else(|| corrupt(what, "a digest has 32 bytes"))
}
