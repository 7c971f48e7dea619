//! Effects of a handler whose task comes again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::Limits;
use aftercommit_domain::events::{EventsPublisherExt, OutboxWriterExt, create_events_publisher};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{TaskContext, TaskOptions, TaskResult, TaskState, completed};
use aftercommit_domain::unit_of_work::{CommitError, UnitOfWorkFactory};
use aftercommit_runtime::worker::Topic;
use aftercommit_testkit::faults::{Fault, Operation};

use crate::support::contracts::{Deliver, deliver, deliveries, parcel_sent};
use crate::support::handlers::{Handler, Seen};
use crate::support::rig::{Rig, workers};

/// Claims, writes what follows, commits; `after` decides what then becomes of the attempt.
fn once(rig: &Rig, runs: &Seen<u32>, after: fn(u32) -> TaskResult) -> Topic {
    let units: Arc<dyn UnitOfWorkFactory> = Arc::new(rig.store.inner().clone());
    let runs = runs.clone();
    deliveries(Handler(move |_: Deliver, ctx: TaskContext| {
        let (units, runs) = (Arc::clone(&units), runs.clone());
        async move {
            runs.add(ctx.attempt());
            let run = u32::try_from(runs.count()).unwrap();
            let mut unit_of_work = units.begin(ctx.tenant(), ctx.cause()).await?;
            ctx.claim(&mut *unit_of_work.inbox()).await?;
            unit_of_work
                .outbox()
                .publish(deliver(99), TaskOptions::default())
                .await?;
            if run > 10 {
                return completed();
            }
            unit_of_work.commit().await?;
            after(run)
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn a_task_that_comes_again_after_its_handler_committed_takes_effect_once() {
    let rig = Rig::new();
    rig.store.script(Operation::Ack, [Fault::Fail, Fault::Fail]);
    let runs = Seen::nothing();
    let engine = rig.start(workers(), vec![once(&rig, &runs, |_| completed())]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Completed).await;
    assert_eq!(runs.count(), 3, "its settling was lost twice");
    assert_eq!(rig.outbox_stats().await.waiting, 1, "what follows is written once");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_reply_was_lost_counts_no_attempt_and_takes_effect_once() {
    let rig = Rig::new();
    let runs = Seen::nothing();
    let unknown = |run| {
        if run > 1 {
            return completed();
        }
        let lost = CommitError::Unknown {
            reason: "the connection was lost".into(),
        };
        Err(lost.into())
    };
    let engine = rig.start(workers(), vec![once(&rig, &runs, unknown)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Completed).await;
    assert_eq!(runs.all(), [1, 1]);
    assert_eq!(rig.outbox_stats().await.waiting, 1);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lasts_longer_than_its_lease_takes_no_effect_beside_the_one_that_has_the_task_now() {
    let rig = Rig::new();
    let units: Arc<dyn UnitOfWorkFactory> = Arc::new(rig.store.inner().clone());
    let runs = Seen::nothing();
    let noted = runs.clone();
    // The first run is held for two minutes before it claims, its lease is lost, and the task comes again meanwhile.
    let handler = Handler(move |_: Deliver, ctx: TaskContext| {
        let units = Arc::clone(&units);
        noted.add(());
        let is_first = noted.count() == 1;
        async move {
            if is_first {
                tokio::time::sleep(Duration::from_mins(2)).await;
            }
            let mut unit_of_work = units.begin(ctx.tenant(), ctx.cause()).await?;
            ctx.claim(&mut *unit_of_work.inbox()).await?;
            unit_of_work
                .outbox()
                .publish(deliver(99), TaskOptions::default())
                .await?;
            unit_of_work.commit().await?;
            completed()
        }
    });
    let options = aftercommit_runtime::EngineOptions {
        lease: Duration::from_secs(30),
        timeout: Duration::from_hours(1),
        ..workers()
    };
    let engine = rig.start(options, vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until("it runs", async || runs.count() == 1).await;
    rig.store.inner().suspend();
    rig.until("it runs a second time", async || runs.count() == 2).await;
    rig.store.inner().resume();
    rig.until_state(id, TaskState::Completed).await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(runs.count(), 2);
    assert_eq!(rig.outbox_stats().await.waiting, 1);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_task_under_the_id_of_one_that_is_done_is_dead_and_says_so() {
    let rig = Rig::new();
    let runs = Seen::nothing();
    let engine = rig.start(workers(), vec![once(&rig, &runs, |_| completed())]);
    let first = rig.task(&deliver(1));
    let mut other = rig.task(&deliver(2));
    other.id = first.id;
    rig.enqueue_envelope(first.clone()).await;
    rig.until_state(first.id, TaskState::Completed).await;
    rig.enqueue_envelope(other).await;
    rig.until("it is dead", async || {
        rig.details(first.id).await.summary.state == TaskState::Dead
    })
    .await;
    let letter = rig.dead_letter(first.id).await;
    assert_eq!(letter.failure.code, "id.conflict");
    assert!(
        letter
            .failure
            .to_string()
            .contains("deliveries/deliver has done a message"),
        "{}",
        letter.failure
    );
    assert_eq!(rig.outbox_stats().await.waiting, 1);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn events_that_a_handler_publishes_directly_have_the_same_ids_in_every_run() {
    let rig = Rig::new();
    rig.store.script(Operation::Ack, [Fault::Fail, Fault::Fail]);
    let publisher = create_events_publisher(Arc::new(rig.store.inner().clone()), Limits::default());
    let (envelopes, ids) = (rig.envelopes.clone(), Seen::nothing());
    let noted = ids.clone();
    let handler = Handler(move |task: Deliver, ctx: TaskContext| {
        let (publisher, envelopes, noted) = (Arc::clone(&publisher), envelopes.clone(), noted.clone());
        async move {
            for key in ["sent", "sent again"] {
                let event = parcel_sent(task.parcel_id, 1);
                noted.add(publisher.publish_from_task(&envelopes, event, key, &ctx).await?);
            }
            completed()
        }
    });
    let engine = rig.start(workers(), vec![deliveries(handler)]);
    let tasks = [rig.enqueue(&deliver(1)).await, rig.enqueue(&deliver(2)).await];
    for id in tasks {
        rig.until_state(id, TaskState::Completed).await;
    }
    let all = ids.all();
    let different: HashSet<MessageId> = all.iter().copied().collect();
    assert!(all.len() >= 8, "some ran again: {}", all.len());
    assert_eq!(different.len(), 4, "two events of each task");
    engine.stop().await;
}
