//! A server that ends connections, hangs, is cut off, refuses connections or is locked up: what was committed has its
//! effect once, in order, and no process ends.
//!
//! Each fault is shortened; `AFTERCOMMIT_E2E_OUTAGE_SECONDS` is how long it lasts, some seconds by default.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use aftercommit_e2e::PATIENCE;
use aftercommit_e2e::ledger::{Fleet, Loops, Production, create_tables, number};
use aftercommit_testkit::postgres_server::{PostgresOptions, PostgresServer, TestDatabase};
use aftercommit_testkit::proxy::{Direction, Flow, TcpProxy};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::sleep;

/// How long relays and workers keep what they took.
const LEASE: Duration = Duration::from_secs(3);
const AGGREGATES: u32 = 32;
const PRODUCERS: u64 = 4;
const MEMBERS: [&str; 3] = ["relay", "worker-1", "worker-2"];
/// The server's limit of a statement; the client waits two seconds longer.
const LIMIT: Duration = Duration::from_secs(2);
/// How long after a fault clients work again.
const RECOVERY: Duration = Duration::from_secs(20);
/// How much a process may grow in an outage, in KiB.
const GROWTH: u64 = 32 * 1024;
/// The most connections of one process: units, handlers, engine, leases, console.
const CONNECTIONS: usize = 10 + 10 + 4 + 2 + 2;
/// What it has open besides.
const OTHER_FILES: usize = 20;

/// How long a fault lasts.
fn lasting(default: Duration) -> Duration {
    Duration::from_secs(number("AFTERCOMMIT_E2E_OUTAGE_SECONDS", default.as_secs()))
}

/// Processes that work on a database.
struct Stage {
    database: TestDatabase,
    fleet: Fleet,
}

impl Stage {
    /// `url` is the way of the processes to the database.
    async fn set(database: TestDatabase, url: &str) -> Self {
        create_tables(&database.url(), AGGREGATES).await;
        let mut fleet = Fleet::new(env!("CARGO_BIN_EXE_ledger-app"), url, LEASE).set(
            "AFTERCOMMIT_POSTGRES__STATEMENT_TIMEOUT",
            &format!("{}s", LIMIT.as_secs()),
        );
        for name in MEMBERS {
            let loops = if name == "relay" { Loops::Relay } else { Loops::Handlers };
            fleet.add(name, loops);
        }
        fleet.ready().await;
        Self { database, fleet }
    }

    /// About 60 events a second, for so long when nothing is in the way.
    fn produce(&mut self, during: Duration) {
        for producer in 0..PRODUCERS {
            let production = Production {
                events: during.as_secs() * 15,
                aggregates: AGGREGATES,
                seed: producer,
                rest: Duration::from_millis(100),
                own_pool: producer % 2 == 1,
            };
            self.fleet.add_producer(&format!("producer-{producer}"), production);
        }
    }

    /// The first effect after now.
    async fn next_effect(&mut self) -> Duration {
        let started = Instant::now();
        let before = self.effects().await;
        while self.effects().await == before {
            assert!(started.elapsed() < PATIENCE, "nothing happens any more");
            self.fleet.tend();
            sleep(Duration::from_millis(20)).await;
        }
        started.elapsed()
    }

    async fn effects(&self) -> i64 {
        self.number("SELECT count(*) FROM effects").await
    }

    async fn number(&self, sql: &'static str) -> i64 {
        let mut connection = self.superuser().await;
        let number = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        number
    }

    async fn superuser(&self) -> PgConnection {
        PgConnection::connect(&self.database.superuser_url()).await.unwrap()
    }

    fn memory(&mut self) -> Vec<u64> {
        MEMBERS.iter().map(|name| self.fleet.resident(name)).collect()
    }

    /// Everything is done, once and in order, and every process ends when it is told to.
    async fn end(mut self, what: &str) {
        let verdict = self.fleet.drained(&self.database.superuser_url(), PATIENCE * 4).await;
        println!("{what}: {verdict}");
        verdict.assert_clean();
        self.fleet.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_connections_are_ended_twice_a_second() {
    let database = PostgresServer::shared().await.database(None).await;
    let url = database.url();
    let mut stage = Stage::set(database, &url).await;
    let lasts = lasting(Duration::from_secs(4));
    stage.produce(lasts);
    let (started, mut ended) = (Instant::now(), 0);
    let mut connection = stage.superuser().await;
    while started.elapsed() < lasts {
        let those: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        ended += those.len();
        sleep(Duration::from_millis(500)).await;
        stage.fleet.tend();
    }
    println!("{ended} connections ended");
    assert!(ended > 20, "{ended}");
    stage.end("connections ended").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_hangs_for_longer_than_any_deadline() {
    let server = PostgresServer::start(PostgresOptions::default().without_fsync()).await;
    let database = server.database(None).await;
    let url = database.url();
    let mut stage = Stage::set(database, &url).await;
    let lasts = lasting(LIMIT + Duration::from_secs(4));
    stage.produce(Duration::from_secs(6));
    stage.next_effect().await;
    let before = stage.memory();
    server.pause().await;
    sleep(lasts).await;
    let after = stage.memory();
    server.resume().await;
    let back = stage.next_effect().await;
    println!("first effect {back:.2?} after the server went on; memory {before:?} → {after:?} KiB");
    assert!(back < RECOVERY, "{back:?}");
    for (before, after) in before.iter().zip(&after) {
        assert!(*after < before + GROWTH, "{before} → {after} KiB");
    }
    stage.end("server stopped and resumed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_half_open_again_and_again() {
    let server = PostgresServer::shared().await;
    let database = server.database(None).await;
    let proxy = TcpProxy::start(server.address()).await.unwrap();
    let url = database.urls().through(proxy.address()).url();
    let mut stage = Stage::set(database, &url).await;
    let rounds = number("AFTERCOMMIT_E2E_HALF_OPEN", 2);
    stage.produce(Duration::from_secs(3 * rounds));
    for round in 0..rounds {
        stage.next_effect().await;
        // What the server answers is lost, and nobody is told.
        proxy.set_flow(Direction::ToClient, Flow::Discard);
        sleep(LIMIT + Duration::from_secs(3)).await;
        proxy.set_flow(Direction::ToClient, Flow::Pass);
        let back = stage.next_effect().await;
        let open = MEMBERS.map(|name| stage.fleet.open_files(name));
        println!("round {round}: first effect after {back:.2?}; open files {open:?}");
        assert!(back < RECOVERY, "{back:?}");
        let most = CONNECTIONS + OTHER_FILES;
        assert!(open.iter().all(|open| *open <= most), "{open:?} files are open");
    }
    stage.end("half-open links").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_has_no_connections_left() {
    // The limit is the role's, which other tests use on the shared server.
    let server = PostgresServer::start(PostgresOptions::default().without_fsync()).await;
    let database = server.database(None).await;
    let url = database.url();
    let mut stage = Stage::set(database, &url).await;
    let lasts = lasting(Duration::from_secs(4));
    stage.produce(lasts);
    stage.next_effect().await;
    let mut connection = stage.superuser().await;
    let role = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()";
    let role: String = sqlx::query_scalar(role).fetch_one(&mut connection).await.unwrap();
    let limit = async |connection: &mut PgConnection, most: i32| {
        let sql = format!("ALTER ROLE {role} CONNECTION LIMIT {most}");
        sqlx::query(AssertSqlSafe(sql)).execute(connection).await.unwrap();
    };
    limit(&mut connection, 3).await;
    // Those that are connected stay so: everybody has to come again.
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1")
        .bind(&role)
        .execute(&mut connection)
        .await
        .unwrap();
    sleep(lasts).await;
    limit(&mut connection, -1).await;
    let back = stage.next_effect().await;
    println!("first effect {back:.2?} after there were connections again");
    assert!(back < RECOVERY, "{back:?}");
    let refused = server.log().matches("too many connections for role").count();
    println!("{refused} connections refused");
    // Everybody asks for more, but nobody without a rest.
    assert!(refused > 0, "nobody was refused");
    let fastest = 100 * (MEMBERS.len() + usize::try_from(PRODUCERS).unwrap());
    assert!(
        refused < fastest * usize::try_from(lasts.as_secs()).unwrap(),
        "{refused} in {lasts:?}"
    );
    stage.end("out of connections").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_are_locked_for_longer_than_any_statement_waits() {
    let database = PostgresServer::shared().await.database(None).await;
    let url = database.url();
    let mut stage = Stage::set(database, &url).await;
    let lasts = lasting(LIMIT * 3);
    stage.produce(Duration::from_secs(6));
    stage.next_effect().await;
    let mut connection = stage.superuser().await;
    for table in ["aftercommit.outbox", "aftercommit.tasks"] {
        let mut locking = connection.begin().await.unwrap();
        sqlx::query(AssertSqlSafe(format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")))
            .execute(&mut *locking)
            .await
            .unwrap();
        sleep(lasts / 2).await;
        locking.rollback().await.unwrap();
        let back = stage.next_effect().await;
        println!("{table}: first effect {back:.2?} after the lock");
        assert!(back < RECOVERY, "{back:?}");
    }
    stage.fleet.drained(&stage.database.superuser_url(), PATIENCE).await;
    let counted = stage
        .number("SELECT count(*) FROM aftercommit.task_outcomes WHERE attempts > 1")
        .await;
    assert_eq!(counted, 0, "an attempt was counted that no handler failed");
    stage.end("tables locked").await;
}
