//! A fresh database on a throw-away server, with a clock the test sets, and processes with their queues on it.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Limits, TopicName};
use aftercommit_domain::ids::Ids as _;
use aftercommit_domain::time::Clock as _;
use aftercommit_platform_db_postgres::{PostgresDatabase, PostgresOptions, PostgresServices, migrations};
use aftercommit_platform_queue_postgres::{PostgresQueue, PostgresQueueOptions};
use aftercommit_testkit::postgres_server::{PostgresServer, TestDatabase};
use aftercommit_testkit::{SeededRandomness, TestServices, test_services};
use sqlx::{Connection as _, PgConnection, PgPool};

/// A database of its own, brought to this version, and one process on it.
pub(crate) struct Rig {
    pub(crate) services: TestServices,
    pub(crate) process: Process,
    /// Past everything.
    direct: PgPool,
    pub(crate) store: TestDatabase,
}

/// What a process has of the database: its connections and its queue.
pub(crate) struct Process {
    pub(crate) database: PostgresDatabase,
    pub(crate) queue: PostgresQueue,
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
        let process = Process::start_with(options(&store), &services, 1, PostgresQueueOptions::default()).await;
        let direct = PgPool::connect_lazy(&store.url()).unwrap();
        sqlx::query("INSERT INTO public.test_clock (at) VALUES ($1)")
            .bind(services.clock.now())
            .execute(&direct)
            .await
            .unwrap();
        Self {
            services,
            process,
            direct,
            store,
        }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.direct
    }

    pub(crate) async fn advance(&self, by: Duration) {
        let later = aftercommit_domain::time::after(self.services.clock.now(), by);
        sqlx::query("UPDATE public.test_clock SET at = $1")
            .bind(later)
            .execute(self.pool())
            .await
            .unwrap();
        self.services.clock.advance(by);
        self.process.database.relay_wake().bump();
        self.process.queue.clock_changed();
    }

    /// Past every check, and past every process that waits.
    pub(crate) async fn publish_raw(&self, topic: &TopicName, body: &[u8]) {
        sqlx::query(
            "INSERT INTO aftercommit.tasks (id, topic, task, state, due_at, enqueued_at, body) \
             VALUES ($1, $2, '', 0, aftercommit.clock(), aftercommit.clock(), $3)",
        )
        .bind(self.services.ids.next())
        .bind(topic.as_str())
        .bind(body)
        .execute(self.pool())
        .await
        .unwrap();
        self.process.queue.look().bump();
    }

    pub(crate) async fn stop(self) {
        self.process.stop().await;
        self.direct.close().await;
        drop(self.store);
    }
}

impl Process {
    /// `seed` differs from process to process.
    pub(crate) async fn start_with(
        options: PostgresOptions,
        services: &TestServices,
        seed: u64,
        queue: PostgresQueueOptions,
    ) -> Self {
        let services = PostgresServices {
            clock: services.clock_port(),
            ids: services.ids_port(),
            randomness: Arc::new(SeededRandomness::new(seed)),
            limits: Limits::default(),
        };
        let database = PostgresDatabase::open(options, services).await.unwrap();
        let queue = PostgresQueue::new(&database, queue);
        Self { database, queue }
    }

    pub(crate) async fn stop(self) {
        self.queue.close().await.unwrap();
        self.database.close().await.unwrap();
    }
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
