//! The versions of the schemas, and who may use them.
//!
//! Expand, then contract: a migration only adds what the version before can live with, and what nobody uses any more goes
//! in a later one, so that two versions run side by side during a deploy. The files in `migrations/` are plain SQL, for
//! teams that apply them with a tool of their own.

mod grants;
mod versioned_schema;

use sqlx::PgConnection;

use crate::connect_error::ConnectError;
use crate::options::PostgresOptions;
use crate::pools::connect_directly;

pub use grants::{grant_to, grants_for};
pub use versioned_schema::{MigrationState, VersionedSchema};

/// The schema `aftercommit`.
pub fn aftercommit() -> VersionedSchema {
    VersionedSchema::new("aftercommit", sqlx::migrate!())
}

/// The schema `reference`, of the reference product. Needs the schema `aftercommit`.
#[cfg(feature = "reference")]
pub fn reference() -> VersionedSchema {
    VersionedSchema::new("reference", sqlx::migrate!("./migrations-reference"))
}

/// A connection for the functions of this module, past every pool: as the role of [`PostgresOptions::migrate_url`].
///
/// # Errors
/// [`ConnectError`]: no answer, or a server that is too old or only reads.
pub async fn connect(options: &PostgresOptions) -> Result<PgConnection, ConnectError> {
    connect_directly(options).await
}

/// [`VersionedSchema::apply`] of the schema `aftercommit`.
///
/// # Errors
/// [`ConnectError`]; a migration is applied whole or not at all.
pub async fn apply(connection: &mut PgConnection) -> Result<Vec<i64>, ConnectError> {
    aftercommit().apply(connection).await
}

/// [`VersionedSchema::status`] of the schema `aftercommit`.
///
/// # Errors
/// [`ConnectError::NewerSchema`], [`ConnectError::ChangedMigration`], [`ConnectError::DirtyMigration`], or the server.
pub async fn status(connection: &mut PgConnection) -> Result<Vec<MigrationState>, ConnectError> {
    aftercommit().status(connection).await
}
