//! The rows of the product as one unit of work sees them.

use std::time::Duration;

use aftercommit_domain::contract::{OrganizationId, ProjectId, Sealer};
use aftercommit_domain::reference::Digest;
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::unit_of_work::StoreError;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteArguments;
use tokio::time::timeout;

use crate::columns::{store_error, timestamp};

/// The longest one statement may take. They are all short; what takes longer is a disk that does not answer.
const STATEMENT: Duration = Duration::from_secs(10);

/// The rows of one organization, and of those tables that belong to none. Implements every repository port.
pub(super) struct Rows<'t> {
    pub(super) connection: &'t mut SqliteConnection,
    pub(super) sealer: &'t dyn Sealer,
    /// Empty when the unit of work was begun for none: no organization's id is.
    pub(super) organization: &'t str,
}

type Statement<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

impl Rows<'_> {
    /// Runs a statement. Answers how many rows it changed.
    pub(super) async fn run(&mut self, operation: &'static str, statement: Statement<'_>) -> Result<u64, StoreError> {
        let done = bounded(operation, statement.execute(&mut *self.connection)).await?;
        Ok(done.rows_affected())
    }
}

/// Waits for a statement, no longer than one may take.
pub(super) async fn bounded<T>(
    operation: &'static str,
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match timeout(STATEMENT, statement).await {
        Ok(done) => done.map_err(|error| store_error(operation, &error)),
        Err(_) => Err(StoreError::Unavailable {
            operation,
            reason: format!("not done within {STATEMENT:?}"),
        }),
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

pub(super) fn time(column: Option<i64>) -> Option<Timestamp> {
    column.map(timestamp)
}
