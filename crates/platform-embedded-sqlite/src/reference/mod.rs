//! The reference product's tables in the same file, with migrations of their own.

mod api_keys;
mod billing;
mod digests;
mod exports;
mod incidents;
mod invitations;
mod memberships;
mod notifications;
mod organizations;
mod projects;
mod reader;
mod records;
mod requests;
mod rows;
mod sealed_email;
mod search_index;
mod sign_in_links;
mod unit_of_work;
mod usage;
mod users;
mod webhooks;

use std::sync::Arc;

use aftercommit_domain::contract::{EnvelopeFactory, Sealer};
use sqlx::migrate::Migrator;

use crate::migrations::not_applied;
use crate::open_error::OpenError;
use crate::{SqliteDatabase, SqliteUnitOfWorkFactory};

/// Where applied migrations are noted: apart from the rail's, which exist without the product.
const TABLE: &str = "_aftercommit_reference_migrations";

/// The reference product's stores in an open database. Clones share it.
#[derive(Clone)]
pub struct SqliteReference {
    database: SqliteDatabase,
    units: SqliteUnitOfWorkFactory,
    sealer: Arc<dyn Sealer>,
}

impl SqliteReference {
    /// Brings the product's tables to this version, all or none of them. E-mail addresses are sealed with the sealer of
    /// `envelopes`.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong and what to do; nothing was changed.
    pub async fn open(database: &SqliteDatabase, envelopes: EnvelopeFactory) -> Result<Self, OpenError> {
        let path = database.path();
        let failed = |reason: String| OpenError::Store {
            operation: "migrate",
            path: path.to_owned(),
            reason,
        };
        let mut migrator: Migrator = sqlx::migrate!("./migrations-reference");
        migrator.dangerous_set_table_name(TABLE);
        let mut transaction = database.begin().await.map_err(|error| failed(error.to_string()))?;
        // `run` takes any lender of connections, and a future that holds one cannot be sent to another thread.
        migrator
            .run_direct(None, &mut *transaction, false)
            .await
            .map_err(|error| not_applied(error, path))?;
        transaction.commit().await.map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            sealer: Arc::clone(envelopes.codec().sealer()),
            units: database.units_of_work(envelopes),
            database: database.clone(),
        })
    }
}
