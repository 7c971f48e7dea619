//! A schema with migrations of its own.

use std::fmt::{self, Write as _};

use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use crate::connect_error::ConnectError;
use crate::pooler::forget_statements;

/// A schema with migrations of its own, which notes in its table `migrations` what was applied.
pub struct VersionedSchema {
    name: &'static str,
    migrator: Migrator,
}

/// One migration, and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// Its schema.
    pub schema: &'static str,
    /// Its number.
    pub version: i64,
    /// What it does.
    pub description: String,
    /// What applies it by hand: its SQL, and the note that it was applied. For `psql` or a migration tool of one's own, in
    /// one transaction.
    pub script: String,
    /// Whether it was applied.
    pub is_applied: bool,
}

impl VersionedSchema {
    /// `name` needs no quotes.
    pub(super) fn new(name: &'static str, mut migrator: Migrator) -> Self {
        migrator.dangerous_set_table_name(format!("{name}.migrations"));
        migrator.create_schema(name);
        Self { name, migrator }
    }

    /// The schema's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Brings the schema to this version, one process at a time. Answers the numbers it applied. Needs a direct
    /// connection: the lock belongs to the session.
    ///
    /// # Errors
    /// [`ConnectError`]; a migration is applied whole or not at all.
    pub async fn apply(&self, connection: &mut PgConnection) -> Result<Vec<i64>, ConnectError> {
        let before = self.notes(connection).await?;
        // `run` takes any lender of connections, and a future that holds one cannot be sent to another thread.
        self.migrator
            .run_direct(None, &mut *connection, false)
            .await
            .map_err(|error| self.not_applied(error))?;
        let after = self.notes(connection).await?;
        let is_new = |version: &i64| !before.iter().any(|note| note.version == *version);
        Ok(after.iter().map(|note| note.version).filter(is_new).collect())
    }

    /// Every migration this version knows, and whether the database has it.
    ///
    /// # Errors
    /// [`ConnectError::NewerSchema`], [`ConnectError::ChangedMigration`], [`ConnectError::DirtyMigration`], or the
    /// server.
    pub async fn status(&self, connection: &mut PgConnection) -> Result<Vec<MigrationState>, ConnectError> {
        let schema = self.name;
        let notes = self.notes(connection).await?;
        if let Some(&Note { version, .. }) = notes.iter().find(|note| !note.success) {
            return Err(ConnectError::DirtyMigration { schema, version });
        }
        for note in &notes {
            let version = note.version;
            match self.migrator.iter().find(|migration| migration.version == version) {
                None => return Err(ConnectError::NewerSchema { schema, version }),
                Some(migration) if *migration.checksum != *note.checksum => {
                    return Err(ConnectError::ChangedMigration { schema, version });
                }
                Some(_) => {}
            }
        }
        let states = self.migrator.iter().map(|migration| MigrationState {
            schema,
            version: migration.version,
            description: migration.description.to_string(),
            script: self.script(migration),
            is_applied: notes.iter().any(|note| note.version == migration.version),
        });
        Ok(states.collect())
    }

    /// Refuses a schema that is not of this version. Also through a pooler.
    ///
    /// # Errors
    /// [`ConnectError::OlderSchema`], and those of [`status`](Self::status).
    pub async fn check(&self, connection: &mut PgConnection) -> Result<(), ConnectError> {
        connection.execute("BEGIN READ ONLY").await.map_err(not_read)?;
        let states = self.status(connection).await;
        forget_statements(connection).await.map_err(not_read)?;
        connection.execute("ROLLBACK").await.map_err(not_read)?;
        match states?.iter().find(|state| !state.is_applied) {
            Some(state) => Err(ConnectError::OlderSchema {
                schema: self.name,
                version: state.version,
            }),
            None => Ok(()),
        }
    }

    /// The table of notes is that of sqlx.
    fn script(&self, migration: &Migration) -> String {
        let (schema, version) = (self.name, migration.version);
        let (description, sql) = (
            migration.description.replace('\'', "''"),
            migration.sql.as_str().trim_end(),
        );
        let mut checksum = String::new();
        for byte in migration.checksum.iter() {
            // Writing to a String cannot fail.
            let _ = write!(checksum, "{byte:02x}");
        }
        format!(
            "CREATE SCHEMA IF NOT EXISTS {schema};\n\
             CREATE TABLE IF NOT EXISTS {schema}.migrations (\n    \
                 version BIGINT PRIMARY KEY,\n    \
                 description TEXT NOT NULL,\n    \
                 installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),\n    \
                 success BOOLEAN NOT NULL,\n    \
                 checksum BYTEA NOT NULL,\n    \
                 execution_time BIGINT NOT NULL\n\
             );\n\n{sql}\n\n\
             INSERT INTO {schema}.migrations (version, description, success, checksum, execution_time)\n\
             VALUES ({version}, '{description}', true, '\\x{checksum}', 0);\n"
        )
    }

    async fn notes(&self, connection: &mut PgConnection) -> Result<Vec<Note>, ConnectError> {
        let table = format!("{}.migrations", self.name);
        let exists: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
            .bind(&table)
            .fetch_one(&mut *connection)
            .await
            .map_err(not_read)?;
        if !exists {
            return Ok(Vec::new());
        }
        let select = format!("SELECT version, checksum, success FROM {table} ORDER BY version");
        sqlx::query_as(AssertSqlSafe(select))
            .fetch_all(connection)
            .await
            .map_err(not_read)
    }

    fn not_applied(&self, error: MigrateError) -> ConnectError {
        let schema = self.name;
        match error {
            MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => {
                ConnectError::NewerSchema { schema, version }
            }
            MigrateError::VersionMismatch(version) => ConnectError::ChangedMigration { schema, version },
            MigrateError::Dirty(version) => ConnectError::DirtyMigration { schema, version },
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                ConnectError::of("migrate", &error)
            }
            other => ConnectError::Refused {
                operation: "migrate",
                reason: other.to_string(),
            },
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn not_read(error: sqlx::Error) -> ConnectError {
    ConnectError::of("read which migrations were applied", &error)
}

/// What is noted of an applied migration.
#[derive(sqlx::FromRow)]
struct Note {
    version: i64,
    checksum: Vec<u8>,
    success: bool,
}

impl fmt::Debug for VersionedSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VersionedSchema")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
