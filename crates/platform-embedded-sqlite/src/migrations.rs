//! The versions of the tables.

use std::path::Path;

use sqlx::SqliteConnection;
use sqlx::migrate::{MigrateError, Migrator};

use crate::open_error::OpenError;

/// Where applied migrations are noted; a name of our own, so that an application can keep its own migrations in the same
/// file.
const TABLE: &str = "_aftercommit_migrations";

/// Brings the tables to this version. Refuses tables of a newer one, and a migration that is not the one applied.
pub(crate) async fn apply(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.dangerous_set_table_name(TABLE);
    migrator.run(connection).await.map_err(|error| not_applied(error, path))
}

/// Why tables are not of this version.
pub(crate) fn not_applied(error: MigrateError, path: &Path) -> OpenError {
    let at = || path.to_owned();
    match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => {
            OpenError::NewerSchema { path: at(), version }
        }
        MigrateError::VersionMismatch(version) => OpenError::ChangedMigration { path: at(), version },
        MigrateError::Dirty(version) => OpenError::DirtyMigration { path: at(), version },
        other => OpenError::Store {
            operation: "migrate",
            path: at(),
            reason: other.to_string(),
        },
    }
}
