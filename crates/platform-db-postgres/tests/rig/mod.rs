//! A fresh database on a throw-away server, with a clock the test sets.

use std::net::SocketAddr;
use std::time::Duration;

use aftercommit_domain::contract::Limits;
use aftercommit_domain::time::Clock as _;
use aftercommit_platform_db_postgres::{PostgresDatabase, PostgresOptions, PostgresServices, migrations};
use aftercommit_testkit::postgres_server::{PostgresServer, TestDatabase};
use aftercommit_testkit::{TestServices, test_services};
use sqlx::{Connection as _, PgConnection, PgPool};

/// A database of its own, brought to this version.
pub(crate) struct Rig {
    pub(crate) services: TestServices,
    pub(crate) database: PostgresDatabase,
    /// Past everything.
    pub(crate) direct: PgPool,
    pub(crate) store: TestDatabase,
}

/// Puts a clock in place that a table sets.
const TEST_CLOCK: &str = "CREATE TABLE public.test_clock (at timestamptz NOT NULL); \
    CREATE OR REPLACE FUNCTION aftercommit.clock() RETURNS timestamptz LANGUAGE sql STABLE \
    AS 'SELECT coalesce((SELECT at FROM public.test_clock), now())'; \
    CREATE OR REPLACE FUNCTION aftercommit.clock_by_now() RETURNS timestamptz LANGUAGE sql VOLATILE \
    AS 'SELECT coalesce((SELECT at FROM public.test_clock), clock_timestamp())'";

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with(|store| PostgresOptions::new(store.url())).await
    }

    pub(crate) async fn start_with(options: impl FnOnce(&TestDatabase) -> PostgresOptions) -> Self {
        let store = fresh().await;
        let services = test_services();
        let options = options(&store);
        let database = PostgresDatabase::open(options, ports(&services)).await.unwrap();
        let direct = PgPool::connect_lazy(&store.url()).unwrap();
        let now = services.clock.now();
        sqlx::query("INSERT INTO public.test_clock (at) VALUES ($1)")
            .bind(now)
            .execute(&direct)
            .await
            .unwrap();
        Self {
            services,
            database,
            direct,
            store,
        }
    }

    pub(crate) async fn advance(&self, by: Duration) {
        let later = aftercommit_domain::time::after(self.services.clock.now(), by);
        sqlx::query("UPDATE public.test_clock SET at = $1")
            .bind(later)
            .execute(&self.direct)
            .await
            .unwrap();
        self.services.clock.advance(by);
        self.database.relay_wake().bump();
    }

    pub(crate) async fn stop(self) {
        self.database.close().await.unwrap();
        self.direct.close().await;
        drop(self.store);
    }
}

/// Everything but migrations goes through PgBouncer.
pub(crate) fn pooled(store: &TestDatabase, pooler: SocketAddr) -> PostgresOptions {
    let mut options = PostgresOptions::new(store.urls().through(pooler).url());
    options.migrate_url = store.url().into();
    options.pgbouncer = true;
    options
}

/// A database with this version's schema and the clock of the tests.
async fn fresh() -> TestDatabase {
    let server = PostgresServer::shared().await;
    server
        .template("aftercommit", async |urls| {
            let mut connection = PgConnection::connect(&urls.url()).await.unwrap();
            migrations::apply(&mut connection).await.unwrap();
            sqlx::raw_sql(TEST_CLOCK).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        })
        .await;
    server.database(Some("aftercommit")).await
}

pub(crate) fn ports(services: &TestServices) -> PostgresServices {
    PostgresServices {
        clock: services.clock_port(),
        ids: services.ids_port(),
        randomness: services.randomness_port(),
        limits: Limits::default(),
    }
}
