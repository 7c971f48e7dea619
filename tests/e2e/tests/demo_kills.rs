//! Random processes of the product are killed while `aftercommit demo` drives it: on each provider nothing is lost, doubled,
//! stuck or out of order.
//!
//! `AFTERCOMMIT_E2E_DEMO_KILLS` is the number of kills on each provider, 20 unless it is set, `AFTERCOMMIT_E2E_RATE` that of
//! requests per second, 60 unless it is set; `AFTERCOMMIT_E2E_SEED` repeats the moments. The full run is 200 kills at a rate of
//! 200, as far as the machine can.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use aftercommit_e2e::demonstration::{Demonstration, Provider, assert_followed, assert_good, in_short};
use aftercommit_e2e::ledger::number;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// How long after the last start a process is killed, and how long it stays away, in milliseconds. Some have not even
/// started by then.
const MOMENTS: std::ops::RangeInclusive<u64> = 20..=1_500;
const AWAY: std::ops::RangeInclusive<u64> = 0..=300;

async fn random_processes_are_killed(provider: Provider) {
    let kills = number("AFTERCOMMIT_E2E_DEMO_KILLS", 20);
    let seed = number("AFTERCOMMIT_E2E_SEED", 20_261_128);
    let rate = u32::try_from(number("AFTERCOMMIT_E2E_RATE", 60)).unwrap();
    println!("{provider:?}: {kills} kills at {rate} requests per second, AFTERCOMMIT_E2E_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut demonstration = Demonstration::begin(provider, rate, seed).await;
    demonstration.goes_on(100).await;
    let began = Instant::now();
    for kill in 1..=kills {
        tokio::time::sleep(Duration::from_millis(random.random_range(MOMENTS))).await;
        let victim = random.random_range(0..demonstration.members.len());
        // Now and then nobody is left.
        let victims = if random.random_bool(0.1) {
            0..demonstration.members.len()
        } else {
            victim..victim + 1
        };
        for member in &mut demonstration.members[victims.clone()] {
            member.kill9();
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(AWAY))).await;
        for member in &mut demonstration.members[victims.clone()] {
            member.spawn();
        }
        if kill % 10 == 0 {
            let (at, answered) = (began.elapsed(), demonstration.answered());
            println!("{provider:?} {at:6.1?}: kill {kill}, {answered} requests answered");
        }
    }
    for member in &mut demonstration.members {
        assert!(member.ready_or_ended().await, "a process ended by itself");
    }
    demonstration.goes_on(100).await;
    let draining = Instant::now();
    let found = demonstration.conclude().await;
    println!(
        "{provider:?}: {kills} kills in {:.0?}, all over {:.0?} after the last request: {}",
        draining - began,
        draining.elapsed(),
        in_short(&found)
    );
    assert_good(&found);
    assert_followed(&found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_on_sqlite_the_demonstration_finds_nothing_wrong() {
    random_processes_are_killed(Provider::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_on_postgresql_the_demonstration_finds_nothing_wrong() {
    random_processes_are_killed(Provider::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_on_rabbitmq_the_demonstration_finds_nothing_wrong() {
    random_processes_are_killed(Provider::RabbitMq).await;
}
