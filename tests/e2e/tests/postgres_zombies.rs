//! A process that was stopped for longer than its lease, and goes on, changes nothing that another has taken over.
//!
//! `AFTERCOMMIT_E2E_ZOMBIES` is how often relays and workers are stopped under load; twice by default.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use aftercommit_e2e::ledger::{Fleet, Loops, Production, create_tables, number};
use aftercommit_e2e::{PATIENCE, eventually};
use aftercommit_testkit::postgres_server::{PostgresServer, TestDatabase};
use aftercommit_testkit::proxy::PostgresProxy;

/// How long relays and workers keep what they took.
const LEASE: Duration = Duration::from_millis(1500);
const AGGREGATES: u32 = 8;
const STATEMENT_TIMEOUT: &str = "AFTERCOMMIT_POSTGRES__STATEMENT_TIMEOUT";
/// What a relay says that comes too late.
const TOO_LATE: &str = "another relay had taken these rows over";

async fn stage() -> (TestDatabase, PostgresProxy, Fleet) {
    let server = PostgresServer::shared().await;
    let database = server.database(None).await;
    create_tables(&database.url(), AGGREGATES).await;
    let proxy = PostgresProxy::start(server.address()).await.unwrap();
    let fleet = Fleet::new(env!("CARGO_BIN_EXE_ledger-app"), &database.url(), LEASE)
        .set("AFTERCOMMIT_LOG__FILTER", "info,sqlx_core=error")
        // What a stopped process has locked, the server frees.
        .set(STATEMENT_TIMEOUT, "2s");
    (database, proxy, fleet)
}

fn production(seed: u64, events: u64) -> Production {
    Production {
        events,
        aggregates: AGGREGATES,
        seed,
        rest: Duration::from_millis(20),
        own_pool: false,
    }
}

/// Adds a process that reaches the server through the proxy.
fn add_behind(mut fleet: Fleet, database: &TestDatabase, proxy: &PostgresProxy, name: &str, loops: Loops) -> Fleet {
    fleet = fleet.set("DATABASE_URL", &database.urls().through(proxy.address()).url());
    fleet.add(name, loops);
    fleet.set("DATABASE_URL", &database.url())
}

/// A relay is stopped when it says this; another takes everything over; it goes on where it stood.
async fn a_relay_is_stopped_before(words: &str, loops: Loops) {
    let (database, proxy, mut fleet) = stage().await;
    fleet.add("worker", Loops::Handlers);
    // It waits for its answer for as long as the others may need to take everything over; it has locked nothing.
    fleet = fleet.set(STATEMENT_TIMEOUT, "1m");
    fleet = add_behind(fleet, &database, &proxy, "zombie", loops);
    fleet = fleet.set(STATEMENT_TIMEOUT, "2s");
    fleet.ready().await;
    let statement = proxy.hold_request(words);
    fleet.add_producer("producer-0", production(0, 12));
    statement.arrived().await;
    fleet.pause("zombie");
    fleet.add("heir", Loops::Relay);
    let taken_over = fleet.drained(&database.superuser_url(), PATIENCE).await;
    taken_over.assert_clean();
    statement.release();
    fleet.resume("zombie");
    eventually("it is told that it comes too late", PATIENCE, async || {
        fleet.log("zombie").contains(TOO_LATE).then_some(())
    })
    .await;
    fleet.add_producer("producer-1", production(1, 40));
    let verdict = fleet.drained(&database.superuser_url(), PATIENCE).await;
    println!("{verdict}");
    verdict.assert_clean();
    assert_eq!(verdict.effects, 52);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_was_stopped_past_its_lease_marks_nothing() {
    a_relay_is_stopped_before("SELECT aftercommit.outbox_mark_published", Loops::StepwiseRelay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_relay_publishes_after_its_lease_has_no_second_effect() {
    a_relay_is_stopped_before("SELECT aftercommit.tasks_insert", Loops::StepwiseRelay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_was_stopped_past_its_lease_transfers_nothing() {
    a_relay_is_stopped_before("SELECT aftercommit.outbox_transfer", Loops::Relay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_was_stopped_past_its_lease_does_not_commit_what_another_has_done() {
    let (database, proxy, mut fleet) = stage().await;
    fleet.add("relay", Loops::Relay);
    fleet.add("dispatcher", Loops::Dispatcher);
    fleet = add_behind(fleet, &database, &proxy, "zombie", Loops::Topics);
    fleet.ready().await;
    let committing = proxy.hold_request("COMMIT");
    fleet.add_producer("producer-0", production(0, 12));
    committing.arrived().await;
    fleet.pause("zombie");
    fleet.add("heir", Loops::Topics);
    let taken_over = fleet.drained(&database.superuser_url(), PATIENCE).await;
    taken_over.assert_clean();
    committing.release();
    fleet.resume("zombie");
    fleet.add_producer("producer-1", production(1, 40));
    let verdict = fleet.drained(&database.superuser_url(), PATIENCE).await;
    println!("{verdict}");
    verdict.assert_clean();
    assert_eq!(verdict.effects, 52);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_and_workers_stopped_by_turns_under_load_repeat_and_reorder_nothing() {
    let (database, _proxy, mut fleet) = stage().await;
    let members = ["relay-1", "worker-1", "relay-2", "worker-2"];
    for name in members {
        let loops = match name {
            "relay-1" => Loops::Relay,
            "relay-2" => Loops::StepwiseRelay,
            _ => Loops::Handlers,
        };
        fleet.add(name, loops);
    }
    fleet.ready().await;
    let zombies = number("AFTERCOMMIT_E2E_ZOMBIES", 2);
    for producer in 0..4 {
        let events = 150 * zombies.max(2) / 2;
        let production = Production {
            rest: Duration::from_millis(60),
            ..production(producer, events)
        };
        fleet.add_producer(&format!("producer-{producer}"), production);
    }
    let turns = usize::try_from(zombies).unwrap();
    for (turn, name) in members.into_iter().cycle().take(turns).enumerate() {
        // Amid the work, and until after the others have taken over what it held.
        let before = fleet.answered();
        eventually("some more is committed", PATIENCE, async || {
            (fleet.produced() || fleet.answered() > before + 40).then_some(())
        })
        .await;
        fleet.pause(name);
        tokio::time::sleep(LEASE * 2).await;
        fleet.resume(name);
        fleet.tend();
        println!("{name} was stopped, turn {turn}");
    }
    let verdict = fleet.drained(&database.superuser_url(), PATIENCE * 4).await;
    println!("{verdict}");
    verdict.assert_clean();
    let told = ["relay-1", "relay-2"].map(|name| fleet.log(name).matches(TOO_LATE).count());
    println!("relays that came too late: {}", told.iter().sum::<usize>());
    fleet.stop().await;
}
