//! A transaction that somebody left open keeps the server from removing dead rows; the rail goes on at its pace.
//!
//! `AFTERCOMMIT_E2E_PINNED_SECONDS` is how long it stays open; some seconds by default.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use aftercommit_e2e::PATIENCE;
use aftercommit_e2e::ledger::{Fleet, Loops, Production, create_tables, number};
use aftercommit_testkit::postgres_server::{PostgresOptions, PostgresServer};
use sqlx::{Connection as _, PgConnection};

const LEASE: Duration = Duration::from_secs(10);
const PRODUCERS: u64 = 8;
/// Events a second, of all producers. Each is two tasks: its dispatch and its handler.
const PACE: u64 = 100;
/// How long an event may take from its commit to its effect, 99 of 100 times, and how much work may wait.
const SLOWEST: Duration = Duration::from_secs(8);

async fn one(url: &str, sql: &'static str) -> f64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let value: Option<f64> = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    value.unwrap_or_default()
}

/// The functions that took most, how often they were called, and how many milliseconds each call took.
async fn slowest(url: &str) -> Vec<(String, i64, f64)> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let slowest = sqlx::query_as(
        "SELECT funcname::text, calls, total_time / calls FROM pg_stat_user_functions
        WHERE schemaname = 'aftercommit' ORDER BY total_time DESC LIMIT 5",
    );
    slowest.fetch_all(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_left_open_does_not_slow_the_rail_down() {
    let seconds = number("AFTERCOMMIT_E2E_PINNED_SECONDS", 8);
    let server = PostgresServer::start(
        PostgresOptions::default()
            .without_fsync()
            .setting("track_functions", "all"),
    )
    .await;
    let database = server.database(None).await;
    create_tables(&database.url(), 256).await;
    let url = database.superuser_url();
    let mut fleet = Fleet::new(env!("CARGO_BIN_EXE_ledger-app"), &database.url(), LEASE);
    fleet.add("relay", Loops::Relay);
    fleet.add("worker-1", Loops::Handlers);
    fleet.add("worker-2", Loops::Handlers);
    fleet.ready().await;
    let mut side = PgConnection::connect(&url).await.unwrap();
    let mut pinning = side.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    // Its snapshot is older than everything that comes.
    let _: i64 = sqlx::query_scalar("SELECT count(*) FROM walks")
        .fetch_one(&mut *pinning)
        .await
        .unwrap();
    for producer in 0..PRODUCERS {
        let production = Production {
            events: seconds * PACE / PRODUCERS,
            aggregates: 256,
            seed: producer,
            // It rests half of that on average, and a commit takes some milliseconds.
            rest: Duration::from_millis(2 * (1000 * PRODUCERS / PACE - 5)),
            own_pool: false,
        };
        fleet.add_producer(&format!("producer-{producer}"), production);
    }
    let started = Instant::now();
    while !fleet.produced() {
        assert!(
            started.elapsed() < Duration::from_secs(seconds * 3) + PATIENCE,
            "too slow"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
        fleet.tend();
    }
    let took = started.elapsed();
    let waiting = one(
        &url,
        "SELECT ((SELECT count(*) FROM aftercommit.outbox) + (SELECT count(*) FROM aftercommit.tasks))::float8",
    )
    .await;
    let verdict = fleet.drained(&url, PATIENCE).await;
    // In the last third, when dead rows have piled up.
    let p99 = one(
        &url,
        "SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM effects.at - ledger_intent.at))::float8
        FROM effects JOIN ledger_intent USING (event_id)
        WHERE ledger_intent.at > (SELECT max(at) - (max(at) - min(at)) / 3 FROM ledger_intent)",
    )
    .await;
    let dead = one(
        &url,
        "SELECT sum(n_dead_tup)::float8 FROM pg_stat_all_tables
        WHERE schemaname = 'aftercommit' AND relname IN ('outbox', 'tasks')",
    )
    .await;
    for (function, calls, each) in slowest(&url).await {
        println!("{function}: {calls} calls, {each:.2} ms each");
    }
    pinning.rollback().await.unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a rate to be read by people")]
    let pace = verdict.ok as f64 / took.as_secs_f64();
    println!(
        "{pace:.0} events/s for {took:.0?}; p99 from commit to effect {p99:.3} s; {waiting} waiting at the end; {dead} dead rows"
    );
    println!("{verdict}");
    verdict.assert_clean();
    assert!(p99 <= SLOWEST.as_secs_f64(), "p99 {p99:.2} s");
    assert!(
        waiting <= pace * SLOWEST.as_secs_f64(),
        "{waiting} waiting at {pace:.0}/s"
    );
    fleet.stop().await;
}
