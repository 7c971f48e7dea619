//! A worker that is stopped in the middle of 50 handlers, and goes on after another has taken their tasks over, changes
//! nothing.
//!
//! `AFTERCOMMIT_E2E_STOPPED` is for how many seconds it is stopped: 10 by default, 120 in the full run.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use aftercommit_e2e::ledger::{Fleet, Loops, Production, create_tables, number};
use aftercommit_e2e::trial::{Behaviour, End, Trial, TrialApp};
use aftercommit_e2e::{PATIENCE, Setup, eventually};
use aftercommit_testkit::postgres_server::{PostgresServer, TestDatabase};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use sqlx::{Connection as _, PgConnection};

const AGGREGATES: u32 = 128;
/// How many handlers run when their process is stopped.
const RUNNING: i64 = 50;
/// How long workers keep what they took.
const LEASE: Duration = Duration::from_secs(3);
/// How long a handler takes: long enough for many to run at once.
const TAKES: Duration = Duration::from_millis(400);

async fn stage() -> (TestDatabase, Fleet) {
    let server = PostgresServer::shared().await;
    let database = server.database(None).await;
    create_tables(&database.url(), AGGREGATES).await;
    let fleet = Fleet::new(env!("CARGO_BIN_EXE_ledger-app"), &database.url(), LEASE)
        .set("AFTERCOMMIT_POSTGRES__HANDLER_CONNECTIONS", "20")
        // What a stopped process has locked, the server frees.
        .set("AFTERCOMMIT_POSTGRES__STATEMENT_TIMEOUT", "2s");
    (database, fleet)
}

/// How many runs of handlers began and have no effect yet.
async fn running(connection: &mut PgConnection) -> i64 {
    let sql = "SELECT (SELECT count(*) FROM deliveries) - (SELECT count(*) FROM effects)";
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

async fn a_worker_is_stopped(database: &TestDatabase, mut fleet: Fleet) {
    let stopped = Duration::from_secs(number("AFTERCOMMIT_E2E_STOPPED", 10));
    fleet.add("relay", Loops::Relay);
    fleet.add("dispatcher", Loops::Dispatcher);
    fleet.add_slow("zombie", Loops::Topics, TAKES);
    fleet.ready().await;
    for producer in 0..4 {
        let production = Production {
            events: 300,
            aggregates: AGGREGATES,
            seed: producer,
            rest: Duration::from_millis(5),
            own_pool: false,
        };
        fleet.add_producer(&format!("producer-{producer}"), production);
    }
    let mut connection = PgConnection::connect(&database.superuser_url()).await.unwrap();
    let patience = Duration::from_mins(1);
    eventually("many handlers run", patience, async || {
        (running(&mut connection).await >= RUNNING).then_some(())
    })
    .await;
    fleet.pause("zombie");
    let held = running(&mut connection).await;
    fleet.add_slow("heir", Loops::Topics, TAKES);
    tokio::time::sleep(stopped).await;
    fleet.resume("zombie");
    let verdict = fleet.drained(&database.superuser_url(), patience + stopped).await;
    println!("stopped for {stopped:?} while {held} handlers ran\n{verdict}");
    verdict.assert_clean();
    assert_eq!(verdict.effects, 1200);
    assert!(verdict.raw_duplicates > 0, "another process has run what it held");
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_on_postgresql_that_was_stopped_amid_fifty_handlers_and_goes_on_changes_nothing() {
    let (database, fleet) = stage().await;
    a_worker_is_stopped(&database, fleet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_on_rabbitmq_that_was_stopped_amid_fifty_handlers_and_goes_on_changes_nothing() {
    let broker = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let (database, fleet) = stage().await;
    let fleet = fleet
        .on_broker(&broker.url())
        .set("AFTERCOMMIT_AMQP__HEARTBEAT", "2s")
        .set("AFTERCOMMIT_AMQP__CONFIRM_TIMEOUT", "5s");
    a_worker_is_stopped(&database, fleet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_on_sqlite_that_was_stopped_amid_fifty_handlers_and_goes_on_changes_nothing() {
    let stopped = Duration::from_secs(number("AFTERCOMMIT_E2E_STOPPED", 10));
    let setup = Setup::default()
        .set("AFTERCOMMIT_LOG__FILTER", "warn")
        .set("AFTERCOMMIT_WORKER__LEASE", "3s")
        .set("AFTERCOMMIT_WORKER__CONCURRENCY", "60")
        // Longer than it is stopped, so that no attempt is over when it goes on.
        .set("AFTERCOMMIT_WORKER__TIMEOUT", "10m");
    let mut app = TrialApp::start(env!("CARGO_BIN_EXE_trial-app"), setup).await;
    let takes = Behaviour::Take { millis: 1500 };
    let trials: Vec<Trial> = (1..=200)
        .map(|trial| Trial {
            trial,
            behaviour: takes,
        })
        .collect();
    app.order(&trials).await;
    app.have_begun(50, PATIENCE).await;
    app.product.pause();
    let held = app.runs().len();
    tokio::time::sleep(stopped).await;
    app.product.resume();
    let ends = app.ends(&trials, Duration::from_mins(1)).await;
    println!(
        "stopped for {stopped:?} while {held} handlers ran; {} runs",
        app.runs().len()
    );
    for (trial, end) in &ends {
        assert_eq!(*end, End::of(takes, 1), "trial {trial}");
    }
    assert_eq!(app.product.terminate().await.code, Some(0));
}
