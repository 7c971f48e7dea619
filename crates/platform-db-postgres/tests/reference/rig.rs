//! The product on a fresh database of a throw-away server: as the owner of the tables, and as a role that may no more
//! than an application needs.

use std::sync::Arc;

use aftercommit_domain::contract::Limits;
use aftercommit_platform_db_postgres::{
    PostgresDatabase, PostgresOptions, PostgresReference, PostgresServices, migrations,
};
use aftercommit_testkit::postgres_server::{PgBouncer, PostgresServer, TestDatabase};
use aftercommit_testkit::reference::conformance::ReferenceStores;
use aftercommit_testkit::{TestServices, test_services};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::sync::OnceCell;

/// A role that can log in, is held by row-level security, and owns nothing.
pub(crate) const APPLICATION: &str = "aftercommit_test_application";
const PASSWORD: &str = "aftercommit-test";

/// Processes of tests on one server take turns.
const CREATE_ROLE: &str = "\
    SELECT pg_advisory_lock(hashtextextended('aftercommit-test-application', 0)); \
    DO $$ BEGIN \
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'aftercommit_test_application') THEN \
            CREATE ROLE aftercommit_test_application; \
        END IF; \
    END $$; \
    ALTER ROLE aftercommit_test_application \
        LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD 'aftercommit-test'";

/// To [`APPLICATION`].
const EVERYTHING: &str = "\
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA aftercommit TO aftercommit_test_application";

pub(crate) struct Rig {
    pub(crate) services: TestServices,
    pub(crate) database: PostgresDatabase,
    pub(crate) reference: PostgresReference,
    pub(crate) store: TestDatabase,
}

impl Rig {
    /// As the owner of the tables.
    pub(crate) async fn owner() -> Self {
        Self::open(fresh().await, |_| {}).await
    }

    /// As the owner of the tables, with one connection for units of work, so that everybody uses the same.
    pub(crate) async fn owner_on_one_connection() -> Self {
        Self::open(fresh().await, |options| options.handler_connections = 1).await
    }

    /// As the restricted role, with one connection for units of work and one for reads, so that everybody uses the same.
    pub(crate) async fn application() -> Self {
        let store = fresh().await;
        let url = store.urls().as_role(APPLICATION, PASSWORD);
        Self::open(store, |options| {
            options.url = url.into();
            options.migrate = false;
            options.handler_connections = 1;
        })
        .await
    }

    /// As the restricted role, through PgBouncer, which gives each transaction another connection to the server.
    pub(crate) async fn application_through_pgbouncer() -> Self {
        static POOLER: OnceCell<PgBouncer> = OnceCell::const_new();
        let store = fresh().await;
        let pooler = POOLER
            .get_or_init(async || PgBouncer::start(&PostgresServer::shared().await, &[(APPLICATION, PASSWORD)]).await)
            .await;
        let pooled = store.urls().through(pooler.address());
        Self::open(store, |options| {
            options.url = pooled.as_role(APPLICATION, PASSWORD).into();
            options.engine_url = pooled.url().into();
            options.pgbouncer = true;
        })
        .await
    }

    async fn open(store: TestDatabase, change: impl FnOnce(&mut PostgresOptions)) -> Self {
        let services = test_services();
        let mut options = PostgresOptions::new(store.url());
        change(&mut options);
        let ports = PostgresServices {
            clock: services.clock_port(),
            ids: services.ids_port(),
            randomness: services.randomness_port(),
            limits: Limits::default(),
        };
        let database = PostgresDatabase::open(options, ports).await.unwrap();
        let reference = PostgresReference::open(&database, services.envelopes.clone())
            .await
            .unwrap();
        Self {
            services,
            database,
            reference,
            store,
        }
    }

    pub(crate) fn stores(&self) -> ReferenceStores {
        ReferenceStores {
            units: Arc::new(self.reference.clone()),
            reader: Arc::new(self.reference.clone()),
        }
    }

    /// More than an application needs, so that policies alone decide what it sees.
    pub(crate) async fn grant_everything(&self) {
        self.superuser().await.execute(EVERYTHING).await.unwrap();
    }

    /// Whom nothing is hidden from.
    pub(crate) async fn superuser(&self) -> PgConnection {
        PgConnection::connect(&self.store.superuser_url()).await.unwrap()
    }
}

/// A database with both schemas, and what is granted to the application's role.
async fn fresh() -> TestDatabase {
    let server = PostgresServer::shared().await;
    server
        .template("reference", async |urls| {
            let mut superuser = PgConnection::connect(&urls.superuser_url()).await.unwrap();
            sqlx::raw_sql(CREATE_ROLE).execute(&mut superuser).await.unwrap();
            superuser.close().await.unwrap();
            let mut owner = PgConnection::connect(&urls.url()).await.unwrap();
            migrations::apply(&mut owner).await.unwrap();
            migrations::reference().apply(&mut owner).await.unwrap();
            migrations::grant_to(&mut owner, APPLICATION).await.unwrap();
            owner.close().await.unwrap();
        })
        .await;
    server.database(Some("reference")).await
}
