//! The versions of the schemas, and who may use them.
//!
//! Expand, then contract: a migration only adds what the version before can live with, and what nobody uses any more goes
//! in a later one, so that two versions run side by side during a deploy. The files in `migrations/` are plain SQL, for
//! teams that apply them with a tool of their own.

mod grants;
mod versioned_schema;

use sqlx::PgConnection;

use crate::connect_error::ConnectError;

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
