//! Loops that cannot die.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_runtime::LoopStatus;
use aftercommit_runtime::lifecycle::{Backoff, Round, keep_going};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::handlers::Seen;
use crate::support::rig::Rig;

fn failure() -> Failure {
    Failure::new("store.away", ErrorClass::Outage, "away")
}

/// Runs a loop whose rounds end as `rounds` says, and answers when each began.
async fn run(rig: &Rig, rounds: impl Fn(u32) -> Result<Round, Failure>) -> Vec<Duration> {
    let health = Arc::new(rig.health.register("test"));
    let started = Instant::now();
    let times = Seen::nothing();
    let (count, noted) = (AtomicU32::new(0), times.clone());
    let round = || {
        noted.add(started.elapsed());
        std::future::ready(rounds(count.fetch_add(1, Ordering::SeqCst)))
    };
    let backoff = Backoff::new(Arc::clone(&rig.randomness));
    keep_going(health, CancellationToken::new(), backoff, round).await;
    times.all()
}

fn gaps(times: &[Duration]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect()
}

#[tokio::test(start_paused = true)]
async fn backoff_grows_to_its_cap() {
    let rig = Rig::new();
    let times = run(&rig, |round| if round < 20 { Err(failure()) } else { Ok(Round::Over) }).await;
    let gaps = gaps(&times);
    assert!(
        gaps[0] >= Duration::from_millis(50) && gaps[0] <= Duration::from_millis(101),
        "{gaps:?}"
    );
    assert!(gaps[..5].is_sorted(), "{gaps:?}");
    let cap = Duration::from_secs(4);
    assert!(
        gaps[6..]
            .iter()
            .all(|gap| *gap >= cap / 2 && *gap <= cap + Duration::from_millis(1)),
        "{gaps:?}"
    );
    assert_eq!(rig.report("test").status, LoopStatus::Stopped);
}

#[tokio::test(start_paused = true)]
async fn backoff_starts_again_after_a_success() {
    let rig = Rig::new();
    let times = run(&rig, |round| match round {
        0..10 | 11 => Err(failure()),
        10 => Ok(Round::Again),
        _ => Ok(Round::Over),
    })
    .await;
    let gaps = gaps(&times);
    assert!(gaps[9] >= Duration::from_secs(2), "{gaps:?}");
    assert_eq!(gaps[10], Duration::ZERO, "after a success there is no wait");
    assert!(gaps[11] <= Duration::from_millis(101), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_always_has_work_lets_others_run_and_ends_when_it_is_told_to() {
    let rig = Rig::new();
    let health = Arc::new(rig.health.register("test"));
    let stop = CancellationToken::new();
    let backoff = Backoff::new(Arc::clone(&rig.randomness));
    let (ended, ()) = tokio::join!(
        tokio::time::timeout(
            Duration::from_secs(1),
            keep_going(health, stop.clone(), backoff, || async { Ok(Round::Again) })
        ),
        async {
            tokio::task::yield_now().await;
            stop.cancel();
        }
    );
    assert!(ended.is_ok());
}

#[tokio::test(start_paused = true)]
async fn health_tells_since_when_and_how_often() {
    let rig = Rig::new();
    let health = rig.health.register("test");
    let started = rig.now();
    assert_eq!(
        (rig.report("test").status, rig.report("test").since),
        (LoopStatus::Starting, started)
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((health.failed(&failure()), health.is_failing()), (1, true));
    let failed = rig.now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(health.failed(&failure()), 2);
    let report = rig.report("test");
    assert_eq!(
        (report.status, report.since, report.failures),
        (LoopStatus::BackingOff, failed, 2)
    );
    assert_eq!(rig.health.causes(), ["test: store.away: away"]);
    health.succeeded();
    let report = rig.report("test");
    assert_eq!(
        (report.status, report.cause, report.failures),
        (LoopStatus::Running, None, 0)
    );
    assert!(!health.is_failing());
}
