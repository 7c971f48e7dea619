//! How soon rows leave.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::events::{Claim, Claimed, Marked, Outbox, OutboxError, OutboxStats, QuarantinedRow, Release};
use aftercommit_runtime::lifecycle::{Backoff, StopOutcome, keep_going};
use aftercommit_runtime::relay::RelayOptions;
use aftercommit_testkit::InMemory;
use aftercommit_testkit::faults::{Fault, Faulty, Operation};
use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::contracts::parcel_sent;
use crate::support::handlers::Seen;
use crate::support::rig::Rig;

fn record_times(rig: &Rig) -> Seen<Instant> {
    let times = Seen::nothing();
    rig.store.refuse({
        let times = times.clone();
        move |_| {
            times.add(Instant::now());
            None
        }
    });
    times
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_drained_without_a_pause_between_batches() {
    let rig = Rig::new();
    for parcel in 0..1000 {
        rig.commit_event(&parcel_sent(parcel, 1)).await;
    }
    let times = record_times(&rig);
    let started = Instant::now();
    let engine = rig.start_relay(RelayOptions {
        batch_size: 10,
        ..RelayOptions::default()
    });
    rig.until("all are published", async || times.count() == 1000).await;
    assert!(
        times.all().iter().all(|time| *time == started),
        "no time passed between batches"
    );
    assert!(rig.store.calls(Operation::Publish) >= 100);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_relay_wakes_with_the_commit_and_does_not_wait_for_its_next_look() {
    let rig = Rig::new();
    let times = record_times(&rig);
    let engine = rig.start_relay(RelayOptions {
        idle_poll: Duration::from_hours(10),
        ..RelayOptions::default()
    });
    tokio::time::sleep(Duration::from_hours(1)).await;
    let looks = rig.store.calls(Operation::Claim);
    assert_eq!(looks, 1, "it does not poll while it waits");
    let committed = Instant::now();
    rig.commit_event(&parcel_sent(1, 1)).await;
    rig.until("it is published", async || times.count() == 1).await;
    assert_eq!(times.all(), [committed]);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_relay_looks_at_least_once_a_second_and_not_at_fixed_times() {
    let rig = Rig::new();
    let engine = rig.start_relay(RelayOptions::default());
    tokio::time::sleep(Duration::from_mins(1)).await;
    let looks = rig.store.calls(Operation::Claim);
    assert!((61..=121).contains(&looks), "{looks} looks in a minute");
    assert!(
        looks > 65,
        "the waits are spread between half a second and a second: {looks}"
    );
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_relay_stops_between_two_batches_and_leaves_the_rest() {
    let rig = Rig::new();
    for parcel in 0..100 {
        rig.commit_event(&parcel_sent(parcel, 1)).await;
    }
    rig.store.script(Operation::Publish, [Fault::Hold]);
    let engine = rig.start_relay(RelayOptions {
        batch_size: 10,
        ..RelayOptions::default()
    });
    rig.store.wait_for_held(1).await;
    let (outcome, ()) = tokio::join!(engine.stop(), async { rig.store.let_go(1) });
    assert_eq!(outcome, StopOutcome::Clean);
    let stats = rig.outbox_stats().await;
    assert_eq!((rig.logged().await.len(), stats.claimed, stats.waiting), (10, 0, 90));
}

#[tokio::test(start_paused = true)]
async fn the_next_batch_is_claimed_while_one_is_on_its_way_and_given_back_at_a_stop() {
    let rig = Rig::new();
    for parcel in 0..40 {
        rig.commit_event(&parcel_sent(parcel, 1)).await;
    }
    rig.store.script(Operation::Publish, [Fault::Pass, Fault::Hold]);
    let engine = rig.start_relay(RelayOptions {
        batch_size: 10,
        ..RelayOptions::default()
    });
    rig.store.wait_for_held(1).await;
    rig.until("the third batch is claimed", async || {
        rig.outbox_stats().await.claimed == 20
    })
    .await;
    let (outcome, ()) = tokio::join!(engine.stop(), async { rig.store.let_go(1) });
    assert_eq!(outcome, StopOutcome::Clean);
    let stats = rig.outbox_stats().await;
    assert_eq!((rig.logged().await.len(), stats.claimed, stats.waiting), (20, 0, 20));
}

#[tokio::test(start_paused = true)]
async fn what_was_claimed_ahead_is_given_back_when_the_queue_takes_nothing() {
    let rig = Rig::new();
    for parcel in 0..40 {
        rig.commit_event(&parcel_sent(parcel, 1)).await;
    }
    rig.store
        .script(Operation::Publish, [Fault::Pass, Fault::Fail, Fault::Hold]);
    let engine = rig.start_relay(RelayOptions {
        batch_size: 10,
        ..RelayOptions::default()
    });
    rig.store.wait_for_held(1).await;
    let stats = rig.outbox_stats().await;
    assert_eq!((rig.logged().await.len(), stats.claimed, stats.waiting), (10, 10, 20));
    let (outcome, ()) = tokio::join!(engine.stop(), async { rig.store.let_go(1) });
    assert_eq!(outcome, StopOutcome::Clean);
}

#[tokio::test(start_paused = true)]
async fn an_outbox_that_wakes_for_nothing_does_not_keep_the_relay_turning() {
    let rig = Rig::new();
    let relay = rig.relay_over(Arc::new(Restless(rig.store.clone())), RelayOptions::default());
    let health = Arc::new(rig.health.register("relay"));
    let stop = CancellationToken::new();
    let turning = keep_going(
        Arc::clone(&health),
        stop.clone(),
        Backoff::new(Arc::clone(&rig.randomness)),
        || relay.round(&health, &stop),
    );
    let ((), id) = tokio::join!(turning, async {
        sleep(Duration::from_secs(10)).await;
        let id = rig.commit_event(&parcel_sent(1, 1)).await;
        sleep(Duration::from_millis(11)).await;
        assert_eq!(rig.logged().await, [id], "and is still there in time");
        stop.cancel();
        id
    });
    let looks = rig.store.calls(Operation::Claim);
    assert!(looks < 1100, "{looks} looks in ten seconds for {id}");
}

/// An outbox whose waits end at once; it gives up when it is asked so often that no time passes any more.
struct Restless(Faulty<InMemory>);

#[async_trait]
impl Outbox for Restless {
    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        self.0.claim(limit, lease).await
    }

    async fn mark_published(&self, claims: &[Claim]) -> Result<Marked, OutboxError> {
        self.0.mark_published(claims).await
    }

    async fn release(&self, claims: Vec<(Claim, Release)>) -> Result<Marked, OutboxError> {
        self.0.release(claims).await
    }

    async fn rescue_expired(&self) -> Result<u64, OutboxError> {
        Outbox::rescue_expired(&self.0).await
    }

    async fn wait(&self, _idle: Duration) {
        if self.0.calls(Operation::Claim) > 5000 {
            pending::<()>().await;
        }
    }

    async fn stats(&self) -> Result<OutboxStats, OutboxError> {
        self.0.stats().await
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<QuarantinedRow>, OutboxError> {
        self.0.quarantined(limit).await
    }
}
