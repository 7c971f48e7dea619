//! Workers and relays are restarted one after the other under load, as a rolling deploy does.
//!
//! The full run is `AFTERCOMMIT_E2E_RESTARTS=50 AFTERCOMMIT_E2E_EVENTS=8000 cargo test -p aftercommit-e2e --test
//! broker_restarts -- --nocapture`.

use std::time::Duration;

use aftercommit_e2e::ledger::{Fleet, Loops, Production, create_tables, number};
use aftercommit_testkit::postgres_server::PostgresServer;
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};

const PRODUCERS: u64 = 4;
const AGGREGATES: u32 = 64;
const LEASE: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_mins(1);
/// The stages of a stop of these processes: 5 s, 2 s and 2 s; and some more to close and to be noticed.
const GRACE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restarts_end_well_and_no_handler_that_finished_runs_twice() {
    let restarts = number("AFTERCOMMIT_E2E_RESTARTS", 10);
    let events = number("AFTERCOMMIT_E2E_EVENTS", 1_500);
    let server = PostgresServer::shared().await;
    let broker = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let database = server.database(None).await;
    create_tables(&database.url(), AGGREGATES).await;
    let mut fleet = Fleet::new(env!("CARGO_BIN_EXE_ledger-app"), &database.url(), LEASE).on_broker(&broker.url());
    let members = ["worker-1", "relay-1", "worker-2", "relay-2", "worker-3"];
    for name in members {
        fleet.add(
            name,
            if name.starts_with("relay") {
                Loops::Relay
            } else {
                Loops::Handlers
            },
        );
    }
    fleet.ready().await;
    for producer in 0..PRODUCERS {
        let production = Production {
            events: events / PRODUCERS,
            aggregates: AGGREGATES,
            seed: producer,
            rest: Duration::from_millis(40),
            own_pool: false,
        };
        fleet.add_producer(&format!("producer-{producer}"), production);
    }
    let mut slowest = Duration::ZERO;
    for name in members.into_iter().cycle().take(usize::try_from(restarts).unwrap()) {
        slowest = slowest.max(fleet.restart(name).await);
        fleet.ready().await;
    }
    let is_under_load = !fleet.produced();
    let verdict = fleet.drained(&database.superuser_url(), DRAIN).await;
    println!("{restarts} restarts, the slowest end took {slowest:.1?}, still under load at the end: {is_under_load}");
    println!("{verdict}");
    verdict.assert_clean();
    assert!(slowest < GRACE, "{slowest:?}");
    assert_eq!(verdict.raw_duplicates, 0, "what had finished was not run again");
    fleet.stop().await;
}
