//! The stages of a stop.

use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{Stop, TaskContext, TaskState, completed};
use aftercommit_runtime::lifecycle::{Shutdown, ShutdownGrace, StopOutcome};
use aftercommit_runtime::{EngineOptions, LoopStatus};
use aftercommit_testkit::faults::{Fault, Operation};
use futures::FutureExt;
use tokio::time::{Instant, sleep};

use crate::support::contracts::{Deliver, deliver, deliveries};
use crate::support::handlers::{Completes, Handler, Seen};
use crate::support::rig::{Rig, workers};

const GRACE: ShutdownGrace = ShutdownGrace {
    finish: Duration::from_secs(15),
    cancel: Duration::from_secs(8),
    release: Duration::from_secs(2),
};

fn failed() -> Stop {
    Stop::Failed {
        failure: Failure::new("interrupted", ErrorClass::Retryable, "told to end"),
        retry_after: None,
    }
}

#[tokio::test(start_paused = true)]
async fn readiness_goes_off_before_anything_stops() {
    let rig = Rig::new();
    let shutdown = Shutdown::new();
    let was_ready = Seen::nothing();
    shutdown.spawn_loop({
        let (stop, health, was_ready) = (shutdown.stop_token().clone(), rig.health.clone(), was_ready.clone());
        async move {
            stop.cancelled().await;
            was_ready.add(health.causes().is_empty());
        }
    });
    assert_eq!(rig.health.causes(), [""; 0]);
    assert_eq!(shutdown.stop(&rig.health, GRACE).await, StopOutcome::Clean);
    assert_eq!(was_ready.all(), [false]);
    assert_eq!(rig.health.causes(), ["stopping"]);
}

#[tokio::test(start_paused = true)]
async fn running_handlers_finish_within_the_grace_and_the_stop_is_clean() {
    let rig = Rig::new();
    let handler = Handler(async |_: Deliver, ctx: TaskContext| {
        sleep(Duration::from_secs(14)).await;
        assert!(!ctx.cancellation().is_cancelled());
        completed()
    });
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Running).await;
    let asked = Instant::now();
    assert_eq!(engine.stop().await, StopOutcome::Clean);
    assert!(asked.elapsed() <= Duration::from_secs(14), "no longer than it takes");
    assert_eq!(rig.state(id).await, TaskState::Completed);
    assert_eq!(rig.report("topic deliveries").status, LoopStatus::Stopped);
    assert_eq!(rig.report("rescuer").status, LoopStatus::Stopped);
}

#[tokio::test(start_paused = true)]
async fn an_idle_process_stops_at_once() {
    let rig = Rig::new();
    let options = EngineOptions::default();
    let engine = rig.start(options, vec![deliveries(Completes)]);
    sleep(Duration::from_mins(1)).await;
    let asked = Instant::now();
    assert_eq!(engine.stop().await, StopOutcome::Clean);
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert!(
        rig.health
            .reports()
            .iter()
            .all(|report| report.status == LoopStatus::Stopped)
    );
}

#[tokio::test(start_paused = true)]
async fn no_work_is_taken_after_a_stop_and_what_has_not_started_is_left_as_it_was() {
    let rig = Rig::new();
    let handler = Handler(async |_: Deliver, _| {
        sleep(Duration::from_secs(5)).await;
        completed()
    });
    let engine = rig.start_workers(vec![deliveries(handler).concurrency(1)]);
    let running = rig.enqueue(&deliver(1)).await;
    let waiting = rig.enqueue(&deliver(2)).await;
    rig.until_state(running, TaskState::Running).await;
    let (outcome, late) = tokio::join!(engine.stop(), async {
        sleep(Duration::from_secs(1)).await;
        rig.enqueue(&deliver(3)).await
    });
    assert_eq!(outcome, StopOutcome::Clean);
    assert_eq!(rig.state(running).await, TaskState::Completed);
    for id in [waiting, late] {
        let summary = rig.details(id).await.summary;
        assert_eq!((summary.state, summary.attempts), (TaskState::Available, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_taken_in_the_moment_of_the_stop_is_given_back_unstarted() {
    type Stopping = Pin<Box<dyn Future<Output = StopOutcome> + Send>>;
    let rig = Rig::new();
    let (first, second) = (rig.enqueue(&deliver(1)).await, rig.enqueue(&deliver(2)).await);
    let stopping: Arc<Mutex<Option<Stopping>>> = Arc::default();
    let runs = Seen::nothing();
    let handler = {
        let (stopping, runs) = (Arc::clone(&stopping), runs.clone());
        Handler(move |task: Deliver, _| {
            // Both tasks were taken; the first asks for the stop before the second begins.
            runs.add(task.parcel_id);
            let mut stopping = stopping.lock().unwrap();
            assert_eq!(stopping.as_mut().unwrap().now_or_never(), None);
            async { completed() }
        })
    };
    let engine = rig.start_workers(vec![deliveries(handler)]);
    *stopping.lock().unwrap() = Some(Box::pin(engine.stop()));
    rig.until_state(first, TaskState::Completed).await;
    let stopping = stopping.lock().unwrap().take().unwrap();
    assert_eq!(stopping.await, StopOutcome::Clean);
    let summary = rig.details(second).await.summary;
    assert_eq!((summary.state, summary.attempts), (TaskState::Available, 0));
    assert_eq!((runs.all(), rig.store.calls(Operation::GiveBack)), (vec![1], 1));
}

#[tokio::test(start_paused = true)]
async fn after_the_grace_handlers_are_told_to_end_and_a_failure_then_is_no_attempt() {
    let rig = Rig::new();
    let handler = Handler(async |task: Deliver, ctx: TaskContext| {
        ctx.cancellation().cancelled().await;
        match task.parcel_id {
            1 => Err(failed()),
            2 => panic!("told to end"),
            3 => ctx.found(None, "no longer wanted"),
            _ => completed(),
        }
    });
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let mut ids = Vec::new();
    for parcel in 1..=4 {
        ids.push(rig.enqueue(&deliver(parcel)).await);
    }
    for id in &ids {
        rig.until_state(*id, TaskState::Running).await;
    }
    let asked = Instant::now();
    assert_eq!(engine.stop().await, StopOutcome::Cancelled);
    assert_eq!(asked.elapsed(), GRACE.finish);
    for (id, state, attempts) in [
        (ids[0], TaskState::Available, 0),
        (ids[1], TaskState::Available, 0),
        (ids[2], TaskState::Skipped, 1),
        (ids[3], TaskState::Completed, 1),
    ] {
        let summary = rig.details(id).await.summary;
        assert_eq!((summary.state, summary.attempts), (state, attempts), "{summary:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_within_the_grace_is_an_attempt_like_any_other() {
    let rig = Rig::new();
    let handler = Handler(async |_: Deliver, _| {
        sleep(Duration::from_secs(5)).await;
        Err(failed())
    });
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Running).await;
    assert_eq!(engine.stop().await, StopOutcome::Clean);
    let summary = rig.details(id).await.summary;
    assert_eq!((summary.state, summary.attempts), (TaskState::Retryable, 1));
}

#[tokio::test(start_paused = true)]
async fn handlers_that_do_not_end_when_told_are_dropped_and_their_tasks_given_back() {
    struct Dropped(Seen<()>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.add(());
        }
    }
    let rig = Rig::new();
    let dropped = Seen::nothing();
    let noted = dropped.clone();
    let handler = Handler(move |_: Deliver, _| {
        let guard = Dropped(noted.clone());
        async move {
            let _guard = guard;
            pending().await
        }
    });
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Running).await;
    let asked = Instant::now();
    assert_eq!(engine.stop().await, StopOutcome::Cancelled);
    assert_eq!(asked.elapsed(), GRACE.finish + GRACE.cancel);
    assert_eq!(dropped.count(), 1);
    let summary = rig.details(id).await.summary;
    assert_eq!((summary.state, summary.attempts), (TaskState::Available, 0));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_at_all_overruns_and_is_left_to_its_lease() {
    let rig = Rig::new();
    rig.store.script(Operation::Ack, [Fault::Hang]);
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until("it is being settled", async || rig.store.calls(Operation::Ack) == 1)
        .await;
    let asked = Instant::now();
    assert_eq!(engine.stop().await, StopOutcome::Overrun);
    assert_eq!(asked.elapsed(), GRACE.finish + GRACE.cancel + GRACE.release);
    assert_eq!(rig.state(id).await, TaskState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_relay_in_the_middle_of_a_batch_finishes_it_within_the_grace() {
    let rig = Rig::new();
    let id = rig.commit_event(&crate::support::contracts::parcel_sent(1, 1)).await;
    rig.store
        .script(Operation::Publish, [Fault::Delay(Duration::from_secs(9))]);
    let engine = rig.start_relay(aftercommit_runtime::relay::RelayOptions::default());
    rig.until("it publishes", async || rig.store.calls(Operation::Publish) == 1)
        .await;
    assert_eq!(engine.stop().await, StopOutcome::Clean);
    assert_eq!(rig.logged().await, [id], "published and marked");
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_backs_off_or_waits_for_its_queue_stops_at_once() {
    let rig = Rig::new();
    rig.store.always(Operation::Claim, Fault::Fail);
    rig.store.always(Operation::Consume, Fault::Hang);
    let engine = rig.start(EngineOptions::default(), vec![deliveries(Completes)]);
    sleep(Duration::from_mins(1)).await;
    let asked = Instant::now();
    assert_eq!(engine.stop().await, StopOutcome::Clean);
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn grace_is_what_the_options_say() {
    let rig = Rig::new();
    let options = EngineOptions {
        grace: ShutdownGrace {
            finish: Duration::from_secs(1),
            cancel: Duration::from_secs(2),
            ..GRACE
        },
        ..workers()
    };
    let engine = rig.start(
        options,
        vec![deliveries(Handler(async |_: Deliver, _| pending().await))],
    );
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Running).await;
    let asked = Instant::now();
    assert_eq!(engine.stop().await, StopOutcome::Cancelled);
    assert_eq!(asked.elapsed(), Duration::from_secs(3));
}
