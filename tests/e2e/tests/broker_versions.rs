//! Processes of an earlier build work beside those of this one on one database and one broker.
//!
//! The earlier build is the `ledger-app` that `AFTERCOMMIT_E2E_EARLIER` names; without it only this build's own messages are
//! there to compare with, which is what the golden files do.

use std::time::Duration;

use aftercommit_e2e::ledger::{Fleet, Loops, Production, create_tables, number};
use aftercommit_testkit::postgres_server::PostgresServer;
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};

const AGGREGATES: u32 = 64;
const LEASE: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs an earlier build in AFTERCOMMIT_E2E_EARLIER"]
async fn an_earlier_build_and_this_one_take_over_each_others_messages_and_lose_none() {
    #[expect(clippy::disallowed_methods, reason = "a test's own variable")]
    let earlier =
        std::env::var("AFTERCOMMIT_E2E_EARLIER").expect("AFTERCOMMIT_E2E_EARLIER names an earlier ledger-app");
    let events = number("AFTERCOMMIT_E2E_EVENTS", 2_000);
    let server = PostgresServer::shared().await;
    let broker = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let database = server.database(None).await;
    create_tables(&database.url(), AGGREGATES).await;
    let this = env!("CARGO_BIN_EXE_ledger-app");
    let mut fleet = Fleet::new(this, &database.url(), LEASE).on_broker(&broker.url());
    // This build first: it brings the tables to its version, as a deploy does.
    for (build, number) in [(this, 1), (&*earlier, 2)] {
        fleet = fleet.of_build(build);
        fleet.add(&format!("relay-{number}"), Loops::Relay);
        fleet.add(&format!("dispatcher-{number}"), Loops::Dispatcher);
        fleet.add(&format!("worker-{number}"), Loops::Topics);
        fleet.ready().await;
    }
    for (build, turn) in [(this, 0), (&*earlier, 1), (this, 2), (&*earlier, 3)] {
        fleet = fleet.of_build(build);
        let production = Production {
            events: events / 4,
            aggregates: AGGREGATES,
            seed: turn,
            rest: Duration::from_millis(10),
            own_pool: false,
        };
        fleet.add_producer(&format!("producer-{turn}"), production);
    }
    // Each build's processes are replaced while messages of the other are on their way.
    for name in [
        "worker-1",
        "dispatcher-2",
        "relay-1",
        "worker-2",
        "dispatcher-1",
        "relay-2",
    ] {
        fleet.restart(name).await;
        fleet.ready().await;
    }
    let verdict = fleet.drained(&database.superuser_url(), DRAIN).await;
    println!("{verdict}");
    verdict.assert_clean();
    fleet.stop().await;
}
