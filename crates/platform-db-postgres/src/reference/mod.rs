//! The reference product's tables, in a schema and with migrations of their own.

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

use std::fmt;
use std::sync::Arc;

use aftercommit_domain::contract::{EnvelopeFactory, Sealer};
use sqlx::Connection as _;

use crate::connect_error::ConnectError;
use crate::migrations::{self, MigrationState};
use crate::options::PostgresOptions;
use crate::pools::connect_directly;
use crate::statement::Statements;
use crate::{PostgresDatabase, PostgresUnitOfWorkFactory};

/// The reference product's stores in an open database. Clones share it.
#[derive(Clone)]
pub struct PostgresReference {
    reads: Statements,
    units: PostgresUnitOfWorkFactory,
    sealer: Arc<dyn Sealer>,
}

impl PostgresReference {
    /// Brings the schema `reference` to this version or, where [`PostgresOptions::migrate`] is off, refuses one that is
    /// not. E-mail addresses are sealed with the sealer of `envelopes`.
    ///
    /// # Errors
    /// [`ConnectError`] says what is wrong and what to do; a migration is applied whole or not at all.
    pub async fn open(database: &PostgresDatabase, envelopes: EnvelopeFactory) -> Result<Self, ConnectError> {
        let options = database.options();
        if options.is_operator {
            return Ok(Self::over(database, envelopes));
        }
        let mut direct = connect_directly(options).await?;
        if options.migrate {
            let applied = migrations::reference().apply(&mut direct).await?;
            if !applied.is_empty() {
                tracing::info!(?applied, "the schema reference was brought to this version");
            }
        } else {
            migrations::reference().check(&mut direct).await?;
        }
        // Nothing more is asked of it; a failure to say goodbye changes nothing.
        let _ = direct.close().await;
        Ok(Self::over(database, envelopes))
    }

    fn over(database: &PostgresDatabase, envelopes: EnvelopeFactory) -> Self {
        Self {
            reads: Statements::of(database.pools().handlers.clone(), database.options()),
            sealer: Arc::clone(envelopes.codec().sealer()),
            units: database.units_of_work(envelopes),
        }
    }

    /// What [`open`](Self::open) would apply, and what is applied, without changing anything.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn migration_status(options: &PostgresOptions) -> Result<Vec<MigrationState>, ConnectError> {
        let mut direct = connect_directly(options).await?;
        let states = migrations::reference().status(&mut direct).await;
        let _ = direct.close().await;
        states
    }
}

impl fmt::Debug for PostgresReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresReference").finish_non_exhaustive()
    }
}
