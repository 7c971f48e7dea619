//! The rescuer: frees what was lost, forgets what is old.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::events::{EventLog, Outbox};
use aftercommit_domain::tasks::{ConsumeOptions, InboxClaim, QueueConsumer, TaskState};
use aftercommit_domain::time::{days, seconds};
use aftercommit_runtime::maintenance::RescuerOptions;
use aftercommit_runtime::{EngineOptions, LoopStatus, Roles, RunningEngine};
use aftercommit_testkit::faults::{Fault, Operation};
use tokio::time::sleep;

use crate::support::contracts::{deliver, deliveries, parcel_sent};
use crate::support::handlers::Completes;
use crate::support::rig::Rig;

fn start(rig: &Rig, rescuer: RescuerOptions) -> RunningEngine {
    let roles = Roles {
        relay: false,
        dispatcher: false,
        ..Roles::default()
    };
    let options = EngineOptions {
        roles,
        rescuer,
        ..EngineOptions::default()
    };
    rig.start(options, Vec::new())
}

/// A worker takes a task and a relay a row, and both are lost.
async fn lose_a_worker_and_a_relay(rig: &Rig) -> aftercommit_domain::ids::MessageId {
    let id = rig.enqueue(&deliver(1)).await;
    rig.commit_event(&parcel_sent(1, 1)).await;
    let options = ConsumeOptions {
        worker: aftercommit_domain::contract::WorkerName::constant("lost"),
        prefetch: 1,
        lease: seconds(30),
    };
    let topic = "deliveries".parse().unwrap();
    let mut deliveries = rig.store.inner().consume(&topic, options).await.unwrap();
    drop(deliveries.next().await.unwrap());
    rig.store.inner().claim(10, seconds(30)).await.unwrap();
    id
}

#[tokio::test(start_paused = true)]
async fn what_lost_workers_and_relays_held_is_freed_soon_after_its_lease() {
    let rig = Rig::new();
    let engine = start(&rig, RescuerOptions::default());
    let task = lose_a_worker_and_a_relay(&rig).await;
    sleep(seconds(29)).await;
    assert_eq!(
        (rig.state(task).await, rig.outbox_stats().await.claimed),
        (TaskState::Running, 1)
    );
    sleep(seconds(17)).await;
    let stats = rig.outbox_stats().await;
    assert_eq!(
        (rig.state(task).await, stats.claimed, stats.waiting),
        (TaskState::Available, 0, 1)
    );
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn tasks_are_freed_even_while_the_outbox_is_away_and_health_tells_of_it() {
    let rig = Rig::new();
    rig.store.always(Operation::RescueRows, Fault::Fail);
    let engine = start(&rig, RescuerOptions::default());
    let task = lose_a_worker_and_a_relay(&rig).await;
    sleep(seconds(40)).await;
    assert_eq!(rig.state(task).await, TaskState::Available);
    assert!(
        rig.store.calls(Operation::PruneOutcomes) > 1,
        "and outcomes are forgotten"
    );
    let cause = rig.report("rescuer").cause.unwrap();
    assert_eq!(
        cause,
        "outbox.unavailable: the outbox is unavailable (rescue_expired): the test says so"
    );
    rig.store.always(Operation::RescueRows, Fault::Pass);
    sleep(seconds(5)).await;
    assert_eq!(
        rig.report("rescuer").status,
        LoopStatus::Running,
        "at once, not after its next wait"
    );
    engine.stop().await;
}

async fn complete(rig: &Rig, count: i64) {
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    let mut last = None;
    for parcel in 0..count {
        last = Some(rig.enqueue(&deliver(parcel)).await);
    }
    rig.until_state(last.unwrap(), TaskState::Completed).await;
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn old_outcomes_are_forgotten_in_batches_and_new_ones_kept() {
    let rig = Rig::new();
    complete(&rig, 2100).await;
    sleep(days(13)).await;
    let kept = rig.enqueue(&deliver(1)).await;
    complete(&rig, 1).await;
    let before = rig.store.calls(Operation::PruneOutcomes);
    sleep(days(2)).await;
    let engine = start(&rig, RescuerOptions::default());
    sleep(seconds(1)).await;
    assert_eq!(
        rig.store.calls(Operation::PruneOutcomes) - before,
        3,
        "1000, 1000 and 100"
    );
    assert_eq!(rig.state(kept).await, TaskState::Completed);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn old_events_are_forgotten_in_batches_even_while_the_queue_is_away() {
    let rig = Rig::new();
    let old: Vec<_> = (0..1500).map(|parcel| rig.event(&parcel_sent(parcel, 1))).collect();
    EventLog::record(rig.store.inner(), &old).await.unwrap();
    sleep(days(13)).await;
    let kept = rig.event(&parcel_sent(1, 2));
    EventLog::record(rig.store.inner(), std::slice::from_ref(&kept))
        .await
        .unwrap();
    sleep(days(2)).await;
    rig.store.always(Operation::PruneOutcomes, Fault::Fail);
    let engine = start(&rig, RescuerOptions::default());
    sleep(Duration::from_millis(1)).await;
    assert_eq!(rig.store.calls(Operation::PruneEvents), 2, "1000 and 500");
    assert_eq!(rig.logged().await, [kept.id]);
    let cause = rig.report("rescuer").cause.unwrap();
    assert!(cause.starts_with("queue.unavailable"), "{cause}");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn old_claims_are_forgotten_even_while_the_queue_is_away_and_new_ones_are_not() {
    let rig = Rig::new();
    let (old, new) = (rig.task(&deliver(1)), rig.task(&deliver(2)));
    assert_eq!(rig.claim(&old).await, InboxClaim::First);
    sleep(days(13)).await;
    assert_eq!(rig.claim(&new).await, InboxClaim::First);
    rig.store.always(Operation::PruneOutcomes, Fault::Fail);
    let engine = start(&rig, RescuerOptions::default());
    sleep(seconds(1)).await;
    assert_eq!(rig.claim(&old).await, InboxClaim::Seen, "13 days are not 14");
    sleep(days(2)).await;
    engine.stop().await;
    assert_eq!(rig.claim(&old).await, InboxClaim::First);
    assert_eq!(rig.claim(&new).await, InboxClaim::Seen);
}

#[tokio::test(start_paused = true)]
async fn outcomes_kept_for_longer_than_time_can_tell_are_kept() {
    let rig = Rig::new();
    let kept = rig.enqueue(&deliver(1)).await;
    complete(&rig, 1).await;
    let engine = start(
        &rig,
        RescuerOptions {
            keep_outcomes: Duration::MAX,
            ..RescuerOptions::default()
        },
    );
    sleep(seconds(60)).await;
    assert_eq!(rig.state(kept).await, TaskState::Completed);
    assert_eq!(rig.report("rescuer").status, LoopStatus::Running);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_until_everything_old_is_forgotten() {
    let rig = Arc::new(Rig::new());
    complete(&rig, 2100).await;
    sleep(days(20)).await;
    rig.store.script(Operation::PruneOutcomes, [Fault::Hold]);
    let before = rig.store.calls(Operation::PruneOutcomes);
    let engine = start(&rig, RescuerOptions::default());
    rig.store.wait_for_held(1).await;
    tokio::join!(engine.stop(), async { rig.store.let_go(1) });
    assert_eq!(rig.store.calls(Operation::PruneOutcomes) - before, 1);
}
