//! The versions of the schema `aftercommit`.
//!
//! Expand, then contract: a migration only adds what the version before can live with, and what nobody uses any more goes
//! in a later one, so that two versions run side by side during a deploy. The files in `migrations/` are plain SQL, for
//! teams that apply them with a tool of their own.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::PgConnection;

use crate::connect_error::ConnectError;
use crate::trouble::told;

/// Where applied migrations are noted.
const TABLE: &str = "aftercommit.migrations";

/// One migration, and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// Its number.
    pub version: i64,
    /// What it does.
    pub description: String,
    /// Its SQL.
    pub sql: String,
    /// Whether it was applied.
    pub is_applied: bool,
}

/// Brings the schema to this version, one process at a time. Answers the numbers it applied. Needs a direct connection:
/// the lock belongs to the session.
///
/// # Errors
/// [`ConnectError`]; a migration is applied whole or not at all.
pub async fn apply(connection: &mut PgConnection) -> Result<Vec<i64>, ConnectError> {
    let before = applied(connection).await?;
    migrator().run(&mut *connection).await.map_err(not_applied)?;
    let after = applied(connection).await?;
    Ok(after.into_iter().filter(|version| !before.contains(version)).collect())
}

/// Every migration this version knows, and whether the database has it.
///
/// # Errors
/// [`ConnectError::NewerSchema`], [`ConnectError::ChangedMigration`], [`ConnectError::DirtyMigration`], or the server.
pub async fn status(connection: &mut PgConnection) -> Result<Vec<MigrationState>, ConnectError> {
    let migrator = migrator();
    let noted = notes(connection).await?;
    if let Some((version, ..)) = noted.iter().find(|(_, _, is_done)| !is_done) {
        return Err(ConnectError::DirtyMigration { version: *version });
    }
    for (version, checksum, _) in &noted {
        let known = migrator.iter().find(|migration| migration.version == *version);
        match known {
            None => return Err(ConnectError::NewerSchema { version: *version }),
            Some(migration) if *migration.checksum != **checksum => {
                return Err(ConnectError::ChangedMigration { version: *version });
            }
            Some(_) => {}
        }
    }
    let states = migrator.iter().map(|migration| MigrationState {
        version: migration.version,
        description: migration.description.to_string(),
        sql: migration.sql.as_str().to_owned(),
        is_applied: noted.iter().any(|(version, ..)| *version == migration.version),
    });
    Ok(states.collect())
}

/// Refuses a schema that is not of this version.
pub(crate) async fn check(connection: &mut PgConnection) -> Result<(), ConnectError> {
    let states = status(connection).await?;
    match states.iter().find(|state| !state.is_applied) {
        Some(state) => Err(ConnectError::OlderSchema { version: state.version }),
        None => Ok(()),
    }
}

fn migrator() -> Migrator {
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.dangerous_set_table_name(TABLE);
    migrator.create_schema("aftercommit");
    migrator
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<i64>, ConnectError> {
    Ok(notes(connection).await?.into_iter().map(|(version, ..)| version).collect())
}

/// Version, checksum and whether it was finished.
async fn notes(connection: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>, bool)>, ConnectError> {
    let refused = |error: sqlx::Error| ConnectError::Refused {
        operation: "read aftercommit.migrations",
        reason: told(&error),
    };
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('aftercommit.migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(refused)?;
    if !exists {
        return Ok(Vec::new());
    }
    sqlx::query_as("SELECT version, checksum, success FROM aftercommit.migrations ORDER BY version")
        .fetch_all(connection)
        .await
        .map_err(refused)
}

fn not_applied(error: MigrateError) -> ConnectError {
    match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => {
            ConnectError::NewerSchema { version }
        }
        MigrateError::VersionMismatch(version) => ConnectError::ChangedMigration { version },
        MigrateError::Dirty(version) => ConnectError::DirtyMigration { version },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => ConnectError::Refused {
            operation: "migrate",
            reason: told(&error),
        },
        other => ConnectError::Refused {
            operation: "migrate",
            reason: other.to_string(),
        },
    }
}
