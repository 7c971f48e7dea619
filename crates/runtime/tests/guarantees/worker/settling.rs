//! Settling that does not happen, or happens too late.

use std::time::Duration;

use aftercommit_domain::tasks::{TaskState, completed, skipped};
use aftercommit_runtime::EngineOptions;
use aftercommit_testkit::faults::{Fault, Operation};

use crate::support::contracts::{Deliver, deliver, deliveries};
use crate::support::handlers::{Handler, Seen};
use crate::support::log::CapturedLog;
use crate::support::rig::{Rig, workers};

#[tokio::test(start_paused = true)]
async fn a_worker_that_lost_its_lease_changes_nothing_when_it_settles_and_says_so() {
    let log = CapturedLog::start();
    let rig = Rig::new();
    let runs = Seen::nothing();
    let noted = runs.clone();
    // The first run takes twice its lease, which is not renewed while it runs.
    let handler = Handler(move |_: Deliver, _| {
        noted.add(());
        let run = noted.count();
        async move {
            if run == 1 {
                tokio::time::sleep(Duration::from_mins(1)).await;
                return skipped("said by the one that lost its lease");
            }
            tokio::time::sleep(Duration::from_mins(1)).await;
            completed()
        }
    });
    let options = EngineOptions {
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
    rig.until("the first run settles", async || rig.store.calls(Operation::Ack) == 1)
        .await;
    assert_eq!(rig.state(id).await, TaskState::Running, "the second run has it");
    let lines = log.lines_with("the lease was lost before the task was settled");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for words in [&format!("task_id={id}"), "topic=\"deliveries\"", "verdict=\"skipped\""] {
        assert!(lines[0].contains(words), "{words} in {}", lines[0]);
    }
    rig.until_state(id, TaskState::Completed).await;
    assert_eq!(runs.count(), 2);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_could_not_be_settled_runs_again_when_its_lease_is_over() {
    let rig = Rig::new();
    let runs = Seen::nothing();
    let noted = runs.clone();
    let handler = Handler(move |_: Deliver, ctx: aftercommit_domain::tasks::TaskContext| {
        noted.add((ctx.now(), ctx.idempotency_key()));
        async { completed() }
    });
    rig.store.script(Operation::Ack, [Fault::Fail]);
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Completed).await;
    let runs = runs.all();
    assert_eq!(runs.len(), 2);
    assert!(runs[1].0 - runs[0].0 >= chrono::Duration::seconds(30));
    assert_eq!(runs[0].1, runs[1].1, "under one key");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_settlement_whose_reply_was_lost_was_one() {
    let rig = Rig::new();
    let runs = Seen::nothing();
    let noted = runs.clone();
    let handler = Handler(move |_: Deliver, _| {
        noted.add(());
        async { completed() }
    });
    rig.store.script(Operation::Ack, [Fault::LoseReply]);
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Completed).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(runs.count(), 1);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_while_settling_costs_that_task_a_lease_and_nothing_else() {
    let rig = Rig::new();
    let handler = Handler(async |_: Deliver, _| completed());
    rig.store.script(Operation::Ack, [Fault::Panic]);
    let engine = rig.start_workers(vec![deliveries(handler).concurrency(1)]);
    let first = rig.enqueue(&deliver(1)).await;
    let second = rig.enqueue(&deliver(2)).await;
    rig.until_state(second, TaskState::Completed).await;
    rig.until_state(first, TaskState::Completed).await;
    engine.stop().await;
}
