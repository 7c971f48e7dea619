//! PostgreSQL, RabbitMQ, relays and workers are killed under load and links are cut, and nothing that was committed is lost,
//! repeated or reordered.
//!
//! The full run, which takes some minutes, is
//! `AFTERCOMMIT_E2E_EVENTS=10000 AFTERCOMMIT_E2E_PG_KILLS=5 AFTERCOMMIT_E2E_BROKER_KILLS=5 AFTERCOMMIT_E2E_RELAY_KILLS=5
//! AFTERCOMMIT_E2E_WORKER_KILLS=20 AFTERCOMMIT_E2E_CUTS=20 cargo test -p aftercommit-e2e --test broker_kills --
//! --nocapture`; `AFTERCOMMIT_E2E_SEED` repeats its schedule.

use std::time::{Duration, Instant};

use aftercommit_e2e::broker::{EMPTY_WITHIN, messages};
use aftercommit_e2e::eventually;
use aftercommit_e2e::ledger::{Fault, Faults, Fleet, Loops, Production, Schedule, create_tables, number};
use aftercommit_testkit::postgres_server::{PostgresOptions, PostgresServer};
use aftercommit_testkit::proxy::AmqpProxy;
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};

const PRODUCERS: u64 = 8;
const AGGREGATES: u32 = 64;
/// How long relays and workers keep what they took.
const LEASE: Duration = Duration::from_secs(5);
/// How long what is left may take after the last fault.
const DRAIN: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_servers_brokers_relays_and_workers_and_cut_links_lose_repeat_and_reorder_nothing() {
    let events = number("AFTERCOMMIT_E2E_EVENTS", 1_500);
    let relays = ["relay-1", "relay-2"];
    let workers = ["worker-1", "worker-2", "worker-3"];
    let member_kills = [
        (number("AFTERCOMMIT_E2E_WORKER_KILLS", 4), &workers[..]),
        (number("AFTERCOMMIT_E2E_RELAY_KILLS", 2), &relays[..]),
    ];
    let faults = Faults {
        server_kills: number("AFTERCOMMIT_E2E_PG_KILLS", 1),
        broker_kills: number("AFTERCOMMIT_E2E_BROKER_KILLS", 2),
        cuts: number("AFTERCOMMIT_E2E_CUTS", 4),
        member_kills: &member_kills,
    };
    let seed = number("AFTERCOMMIT_E2E_SEED", 20_261_128);
    println!("{events} events, AFTERCOMMIT_E2E_SEED={seed}, {faults:?}");
    // Commits wait for the disk, as they would in production.
    let server = PostgresServer::start(PostgresOptions::default()).await;
    let broker = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let database = server.database(None).await;
    create_tables(&database.url(), AGGREGATES).await;
    let proxy = AmqpProxy::start(broker.address()).await.unwrap();
    let mut fleet =
        Fleet::new(env!("CARGO_BIN_EXE_ledger-app"), &database.url(), LEASE).on_broker(&proxy.through(&broker.url()));
    for name in relays {
        fleet.add(name, Loops::Relay);
    }
    for name in workers {
        fleet.add(name, Loops::Handlers);
    }
    fleet.ready().await;
    for producer in 0..PRODUCERS {
        let production = Production {
            events: events / PRODUCERS + u64::from(producer < events % PRODUCERS),
            aggregates: AGGREGATES,
            seed: seed + producer,
            rest: Duration::from_millis(100),
            own_pool: producer % 2 == 1,
        };
        fleet.add_producer(&format!("producer-{producer}"), production);
    }

    let started = Instant::now();
    let mut schedule = Schedule::of(seed, events, &faults);
    while !(fleet.produced() && schedule.is_over()) {
        fleet.tend();
        let committed = fleet.answered();
        let Some((wait, fault)) = schedule.next(committed) else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        tokio::time::sleep(wait).await;
        let at = started.elapsed().as_secs_f64();
        println!("{at:6.1} s, {committed:5} committed: {fault:?}");
        match fault {
            Fault::KillMember { name, pause } => fleet.kill9(&name, pause),
            Fault::KillServer {
                all_processes,
                pause,
                meanwhile,
            } => {
                if all_processes {
                    server.kill9_all().await;
                } else {
                    server.kill9().await;
                }
                if let Some(name) = meanwhile {
                    fleet.kill9(&name, Duration::ZERO);
                }
                tokio::time::sleep(pause).await;
                fleet.tend();
                server.restart().await;
            }
            Fault::KillBroker { pause } => {
                broker.kill().await;
                tokio::time::sleep(pause).await;
                fleet.tend();
                broker.start_again().await;
            }
            Fault::CutLinks => proxy.tcp().cut(),
        }
    }
    let produced_in = started.elapsed();
    let draining = Instant::now();
    let verdict = fleet.verdict(&database.superuser_url(), DRAIN).await;
    println!(
        "committed in {produced_in:.1?}, drained {:.1?} later, {} starts without a server",
        draining.elapsed(),
        fleet.refused_starts()
    );
    println!("{verdict}");
    verdict.assert_clean();
    assert_eq!(verdict.ok as u64, events);
    eventually("nothing is left on the broker", EMPTY_WITHIN, async || {
        let listed = broker
            .ctl(&["-q", "list_queues", "name", "messages", "--no-table-headers"])
            .await;
        messages(&listed).is_empty().then_some(())
    })
    .await;
    fleet.stop().await;
}
