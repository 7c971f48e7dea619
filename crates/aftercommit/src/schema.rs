//! The tables of a database that a server keeps: what is applied, what is missing, and who may use them.
//!
//! The embedded database is brought to its version when it is opened and needs none of this.

use aftercommit_platform_config::{Database, Settings};

use crate::postgres::PostgresOptions;
use crate::postgres::migrations::{self, MigrationState, VersionedSchema};
use crate::providers::postgres::startup_error;
use crate::startup::StartupError;

/// Every migration this version knows, in order, and whether the database has it. Changes nothing.
///
/// # Errors
/// The database is the embedded one, is away, or was changed by another version.
pub async fn status(settings: &Settings) -> Result<Vec<MigrationState>, StartupError> {
    let mut connection = migrations::connect(&options(settings)?).await.map_err(startup_error)?;
    let mut states = Vec::new();
    for schema in schemas() {
        states.extend(schema.status(&mut connection).await.map_err(startup_error)?);
    }
    Ok(states)
}

/// What works but takes protection away: roles that row-level security does not hold, a server that does not wait for its
/// disk. One sentence each.
///
/// # Errors
/// As [`status`].
pub async fn findings(settings: &Settings) -> Result<Vec<String>, StartupError> {
    let options = options(settings)?;
    let mut connection = migrations::connect(&options).await.map_err(startup_error)?;
    Ok(crate::postgres::findings(&options, &mut connection).await)
}

/// Applies what is missing of the schemas that `is_chosen` takes, one process at a time, and then lets `role` use the tables,
/// if one is given. Answers what was applied.
///
/// # Errors
/// As [`status`]; a migration is applied whole or not at all.
pub async fn migrate(
    settings: &Settings,
    is_chosen: impl Fn(&str) -> bool,
    role: Option<&str>,
) -> Result<Vec<MigrationState>, StartupError> {
    let mut connection = migrations::connect(&options(settings)?).await.map_err(startup_error)?;
    let mut done = Vec::new();
    for schema in schemas().into_iter().filter(|schema| is_chosen(schema.name())) {
        let applied = schema.apply(&mut connection).await.map_err(startup_error)?;
        let states = schema.status(&mut connection).await.map_err(startup_error)?;
        done.extend(states.into_iter().filter(|state| applied.contains(&state.version)));
    }
    if let Some(role) = role {
        migrations::grant_to(&mut connection, role)
            .await
            .map_err(startup_error)?;
    }
    Ok(done)
}

/// In the order they are applied.
fn schemas() -> Vec<VersionedSchema> {
    vec![
        migrations::aftercommit(),
        #[cfg(feature = "reference")]
        migrations::reference(),
    ]
}

fn options(settings: &Settings) -> Result<PostgresOptions, StartupError> {
    match &settings.database {
        Database::Postgres(postgres) => Ok(crate::providers::postgres::options(postgres, settings)),
        _ => Err(StartupError::Database(
            "the embedded database is brought to this version when it is opened; there is nothing to migrate".into(),
        )),
    }
}
