//! How many tasks at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aftercommit_domain::tasks::{TaskState, completed};
use aftercommit_runtime::EngineOptions;
use aftercommit_runtime::worker::TopicOverrides;
use aftercommit_testkit::faults::{Fault, Operation};

use crate::support::contracts::{Deliver, deliver, deliveries};
use crate::support::handlers::{Handler, Seen};
use crate::support::rig::{Rig, workers};

/// Counts how many run at once, and the most there ever were.
#[derive(Clone, Default)]
struct Gauge {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Gauge {
    fn handler(
        &self,
    ) -> Handler<impl Fn(Deliver, aftercommit_domain::tasks::TaskContext) -> Busy + Send + Sync + use<>> {
        let gauge = self.clone();
        Handler(move |_, _| {
            let gauge = gauge.clone();
            Box::pin(async move {
                let now = gauge.now.fetch_add(1, Ordering::SeqCst) + 1;
                gauge.most.fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(1)).await;
                gauge.now.fetch_sub(1, Ordering::SeqCst);
                completed()
            }) as Busy
        })
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

type Busy = std::pin::Pin<Box<dyn Future<Output = aftercommit_domain::tasks::TaskResult> + Send>>;

#[tokio::test(start_paused = true)]
async fn as_many_handlers_run_at_once_as_the_topic_says_and_never_more() {
    let rig = Rig::new();
    let gauge = Gauge::default();
    let mut last = None;
    for parcel in 0..30 {
        last = Some(rig.enqueue(&deliver(parcel)).await);
    }
    let engine = rig.start_workers(vec![deliveries(gauge.handler()).concurrency(3)]);
    rig.until_state(last.unwrap(), TaskState::Completed).await;
    assert_eq!(gauge.most(), 3);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn configuration_wins_over_what_a_topic_says_of_its_handlers() {
    let rig = Rig::new();
    let gauge = Gauge::default();
    let overrides = TopicOverrides {
        concurrency: Some(5),
        ..TopicOverrides::default()
    };
    let options = EngineOptions {
        topics: [("deliveries".parse().unwrap(), overrides)].into(),
        ..workers()
    };
    let mut last = None;
    for parcel in 0..30 {
        last = Some(rig.enqueue(&deliver(parcel)).await);
    }
    let engine = rig.start(options, vec![deliveries(gauge.handler()).concurrency(3)]);
    rig.until_state(last.unwrap(), TaskState::Completed).await;
    assert_eq!(gauge.most(), 5);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_free_for_the_next_task_while_its_last_one_is_being_settled() {
    let rig = Rig::new();
    let runs = Seen::nothing();
    let noted = runs.clone();
    let handler = Handler(move |task: Deliver, _| {
        noted.add(task.parcel_id);
        async { completed() }
    });
    rig.store.script(Operation::Ack, [Fault::Hold]);
    let engine = rig.start_workers(vec![deliveries(handler).concurrency(1)]);
    let first = rig.enqueue(&deliver(1)).await;
    rig.store.wait_for_held(1).await;
    let second = rig.enqueue(&deliver(2)).await;
    rig.until_state(second, TaskState::Completed).await;
    assert_eq!(runs.all(), [1, 2]);
    assert_eq!(rig.state(first).await, TaskState::Running);
    rig.store.let_go(1);
    rig.until_state(first, TaskState::Completed).await;
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_tasks_are_taken_than_prefetch_allows_while_settling_is_slow() {
    let rig = Rig::new();
    let runs = Seen::nothing();
    let noted = runs.clone();
    let handler = Handler(move |task: Deliver, _| {
        noted.add(task.parcel_id);
        async { completed() }
    });
    rig.store.script(Operation::Ack, [Fault::Hold; 20]);
    for parcel in 0..20 {
        rig.enqueue(&deliver(parcel)).await;
    }
    let engine = rig.start_workers(vec![deliveries(handler).concurrency(2).prefetch(5)]);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(runs.count(), 5);
    rig.store.let_go(20);
    rig.until("the rest runs", async || runs.count() == 20).await;
    engine.stop().await;
}
