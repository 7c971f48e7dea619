//! The broker is away, or takes nothing, for some time: what is committed meanwhile follows by itself when it is back.
//!
//! The full run is `AFTERCOMMIT_E2E_AWAY=180 AFTERCOMMIT_E2E_ALARM=120 AFTERCOMMIT_E2E_EVENTS=5000 cargo test -p
//! aftercommit-e2e --test broker_outages -- --nocapture`.

use std::time::{Duration, Instant};

use aftercommit_e2e::eventually;
use aftercommit_e2e::ledger::{Fleet, Loops, Production, create_tables, number};
use aftercommit_testkit::postgres_server::{PostgresServer, TestDatabase};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};

const PRODUCERS: u64 = 4;
const AGGREGATES: u32 = 64;
const LEASE: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_mins(2);
/// How much more memory a process may take while the broker takes nothing, in KiB.
const MORE_MEMORY: u64 = 32 * 1024;

async fn fleet_on(broker: &RabbitMqServer) -> (Fleet, TestDatabase) {
    let server = PostgresServer::shared().await;
    let database = server.database(None).await;
    create_tables(&database.url(), AGGREGATES).await;
    let mut fleet = Fleet::new(env!("CARGO_BIN_EXE_ledger-app"), &database.url(), LEASE).on_broker(&broker.url());
    fleet.add("relay-1", Loops::Relay);
    fleet.add("worker-1", Loops::Handlers);
    fleet.ready().await;
    (fleet, database)
}

fn produce(fleet: &mut Fleet, turn: u64, events: u64, rest: Duration) {
    for producer in 0..PRODUCERS {
        let production = Production {
            events: events / PRODUCERS,
            aggregates: AGGREGATES,
            seed: turn * PRODUCERS + producer,
            rest,
            own_pool: false,
        };
        fleet.add_producer(&format!("producer-{turn}-{producer}"), production);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_while_the_broker_is_away_follows_by_itself_when_it_is_back() {
    let away = Duration::from_secs(number("AFTERCOMMIT_E2E_AWAY", 10));
    let events = number("AFTERCOMMIT_E2E_EVENTS", 600);
    let broker = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let (mut fleet, database) = fleet_on(&broker).await;
    // RabbitMQ 3.10 may never answer for a queue again that it was killed in the middle of making.
    produce(&mut fleet, 0, PRODUCERS, Duration::ZERO);
    fleet.drained(&database.superuser_url(), DRAIN).await.assert_clean();
    broker.kill().await;
    let gone = Instant::now();
    produce(&mut fleet, 1, events, Duration::ZERO);
    eventually("all is committed without the broker", away + DRAIN, async || {
        fleet.tend();
        fleet.produced().then_some(())
    })
    .await;
    tokio::time::sleep(away.saturating_sub(gone.elapsed())).await;
    broker.start_again().await;
    let back = Instant::now();
    let verdict = fleet.verdict(&database.superuser_url(), DRAIN).await;
    println!(
        "{events} events in {away:?} without a broker, drained {:.1?} after it was back",
        back.elapsed()
    );
    println!("{verdict}");
    verdict.assert_clean();
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_short_of_memory_consumers_go_on_relays_wait_and_memory_stays_flat() {
    let alarm = Duration::from_secs(number("AFTERCOMMIT_E2E_ALARM", 10));
    let events = number("AFTERCOMMIT_E2E_EVENTS", 600);
    let broker = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let (mut fleet, database) = fleet_on(&broker).await;
    produce(&mut fleet, 0, events, Duration::ZERO);
    fleet.drained(&database.superuser_url(), DRAIN).await.assert_clean();
    let before = ["relay-1", "worker-1"].map(|name| fleet.resident(name));
    broker.memory_alarm(true).await;
    let since = Instant::now();
    produce(&mut fleet, 1, events, Duration::from_millis(5));
    eventually("all is committed during the alarm", alarm + DRAIN, async || {
        fleet.tend();
        fleet.produced().then_some(())
    })
    .await;
    tokio::time::sleep(alarm.saturating_sub(since.elapsed())).await;
    let after = ["relay-1", "worker-1"].map(|name| fleet.resident(name));
    println!("{events} events in {alarm:?} of alarm, resident {before:?} KiB before and {after:?} KiB at its end");
    for (before, after) in before.into_iter().zip(after) {
        assert!(after <= before + MORE_MEMORY, "{before} KiB became {after} KiB");
    }
    broker.memory_alarm(false).await;
    let verdict = fleet.verdict(&database.superuser_url(), DRAIN).await;
    println!("{verdict}");
    verdict.assert_clean();
    assert!(
        fleet.log("relay-1").contains("broker blocked: memory"),
        "{}",
        fleet.log("relay-1")
    );
    fleet.stop().await;
}
