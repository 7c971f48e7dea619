//! PostgreSQL, relays and workers are killed under load, and nothing that was committed is lost, repeated or reordered.
//!
//! The full run, which takes some minutes, is
//! `AFTERCOMMIT_E2E_EVENTS=10000 AFTERCOMMIT_E2E_PG_KILLS=5 AFTERCOMMIT_E2E_WORKER_KILLS=20 cargo test -p aftercommit-e2e
//! --test postgres_kills -- --nocapture`; `AFTERCOMMIT_E2E_SEED` repeats its schedule.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use aftercommit_e2e::ledger::{Fault, Fleet, Loops, Production, Schedule, create_tables, number};
use aftercommit_testkit::postgres_server::{PostgresOptions, PostgresServer};
use aftercommit_testkit::proxy::{Direction, Flow, TcpProxy};
use sqlx::{Connection as _, PgConnection};

const PRODUCERS: u64 = 8;
const AGGREGATES: u32 = 64;
/// How long relays and workers keep what they took.
const LEASE: Duration = Duration::from_secs(5);
/// How far relays and workers are from the server: a kill then mostly finds a statement on its way.
const DISTANCE: Duration = Duration::from_millis(10);
/// How long what is left may take after the last fault.
const DRAIN: Duration = Duration::from_mins(2);
/// How long after the server is back its clients work again.
const RECOVERY: f64 = 20.0;

/// Seconds from each moment the server was back until the first commit and the first effect after it.
async fn recoveries(url: &str, back: &[f64]) -> Vec<(f64, f64)> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let mut recoveries = Vec::new();
    for moment in back {
        let first = sqlx::query_as(
            "SELECT
                (SELECT extract(epoch FROM min(at))::float8 - $1 FROM ledger_intent WHERE at > to_timestamp($1)),
                (SELECT extract(epoch FROM min(at))::float8 - $1 FROM effects WHERE at > to_timestamp($1))",
        );
        recoveries.push(first.bind(moment).fetch_one(&mut connection).await.unwrap());
    }
    recoveries
}

async fn server_clock(url: &str) -> f64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("SELECT extract(epoch FROM clock_timestamp())::float8")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_servers_relays_and_workers_lose_repeat_and_reorder_nothing() {
    let events = number("AFTERCOMMIT_E2E_EVENTS", 2_000);
    let server_kills = number("AFTERCOMMIT_E2E_PG_KILLS", 2);
    let member_kills = number("AFTERCOMMIT_E2E_WORKER_KILLS", 6);
    let seed = number("AFTERCOMMIT_E2E_SEED", 20_261_124);
    println!(
        "{events} events, {server_kills} kills of PostgreSQL, {member_kills} of relays and workers, \
         AFTERCOMMIT_E2E_SEED={seed}"
    );
    // Commits wait for the disk, as they would in production.
    let server = PostgresServer::start(PostgresOptions::default()).await;
    let database = server.database(None).await;
    create_tables(&database.url(), AGGREGATES).await;
    let proxy = TcpProxy::start(server.address()).await.unwrap();
    proxy.set_flow(Direction::ToServer, Flow::Delay(DISTANCE));
    let far = database.urls().through(proxy.address()).url();
    let mut fleet = Fleet::new(env!("CARGO_BIN_EXE_ledger-app"), &far, LEASE);
    let members = ["relay-1", "relay-2", "worker-1", "worker-2", "worker-3"];
    for name in members {
        let loops = match name {
            "relay-1" => Loops::Relay,
            "relay-2" => Loops::StepwiseRelay,
            _ => Loops::Handlers,
        };
        fleet.add(name, loops);
    }
    fleet.ready().await;
    fleet = fleet.set("DATABASE_URL", &database.url());
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
    let mut schedule = Schedule::seeded(seed, events, server_kills, member_kills, &members);
    let mut back = Vec::new();
    while !(fleet.produced() && schedule.is_over()) {
        fleet.tend();
        let committed = fleet.answered();
        let Some((wait, fault)) = schedule.next(committed) else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        tokio::time::sleep(wait).await;
        println!(
            "{:6.1} s, {committed:5} committed: {fault:?}",
            started.elapsed().as_secs_f64()
        );
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
                tokio::time::sleep(pause / 2).await;
                fleet.tend();
                tokio::time::sleep(pause / 2).await;
                server.restart().await;
                back.push(server_clock(&database.superuser_url()).await);
            }
            Fault::KillBroker { .. } | Fault::CutLinks => panic!("there is no broker here"),
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
    let recoveries = recoveries(&database.superuser_url(), &back).await;
    for (commit, effect) in &recoveries {
        println!("after the server was back: first commit {commit:.2} s, first effect {effect:.2} s");
    }
    println!("{verdict}");
    verdict.assert_clean();
    assert_eq!(verdict.ok as u64, events);
    assert_eq!(back.len() as u64, server_kills);
    fleet.stop().await;
    let slowest = recoveries
        .iter()
        .map(|(commit, effect)| commit.max(*effect))
        .fold(0.0, f64::max);
    assert!(slowest <= RECOVERY, "recovery took {slowest:.2} s");
}
