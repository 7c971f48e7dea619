//! Queues that go away, and come back.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::events::{EventCatalogue, Routes};
use aftercommit_domain::tasks::{
    ConsumeError, ConsumeOptions, Deliveries, Delivery, QueueConsumer, TaskState, completed,
};
use aftercommit_runtime::{Engine, EnginePorts, LoopStatus};
use aftercommit_testkit::faults::{Fault, Operation};
use async_trait::async_trait;

use crate::support::contracts::{Deliver, deliver, deliveries};
use crate::support::handlers::{Completes, Handler};
use crate::support::rig::{Rig, workers};

const LOOP: &str = "topic deliveries";

#[tokio::test(start_paused = true)]
async fn a_worker_is_running_as_soon_as_it_consumes() {
    let rig = Rig::new();
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    assert_eq!(rig.report(LOOP).status, LoopStatus::Starting);
    rig.until("it runs", async || rig.report(LOOP).status == LoopStatus::Running)
        .await;
    engine.stop().await;
    assert_eq!(rig.report(LOOP).status, LoopStatus::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_cannot_be_consumed_is_tried_again_with_backoff_and_is_back_within_five_seconds() {
    let rig = Rig::new();
    rig.store.always(Operation::Consume, Fault::Fail);
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    tokio::time::sleep(Duration::from_mins(10)).await;
    let tries = rig.store.calls(Operation::Consume);
    assert!((150..320).contains(&tries), "{tries} tries in ten minutes");
    assert_eq!(
        rig.health.causes(),
        ["topic deliveries: queue.unavailable: the queue is unavailable (consume): the test says so"]
    );
    let id = rig.enqueue(&deliver(1)).await;
    rig.store.always(Operation::Consume, Fault::Pass);
    let back = rig.now();
    rig.until_state(id, TaskState::Completed).await;
    assert!(rig.now() - back <= chrono::Duration::seconds(5));
    assert_eq!(
        (rig.report(LOOP).status, rig.report(LOOP).failures),
        (LoopStatus::Running, 0)
    );
    assert_eq!(
        rig.health.causes(),
        Vec::<String>::new(),
        "and the process is ready again"
    );
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_fails_is_replaced_and_well_again_after_a_quiet_second() {
    let rig = Rig::new();
    rig.store.script(Operation::Next, [Fault::Fail]);
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    rig.until("the failure shows", async || {
        rig.report(LOOP).status == LoopStatus::BackingOff
    })
    .await;
    rig.until("it is replaced", async || rig.store.calls(Operation::Consume) == 2)
        .await;
    rig.until("nothing came, and nothing failed", async || {
        rig.report(LOOP).status == LoopStatus::Running
    })
    .await;
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Completed).await;
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_starts_and_then_fails_every_time_is_not_tried_in_a_hot_loop() {
    let rig = Rig::new();
    rig.store.always(Operation::Next, Fault::Fail);
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    tokio::time::sleep(Duration::from_mins(10)).await;
    let tries = rig.store.calls(Operation::Consume);
    assert!((150..320).contains(&tries), "{tries} tries in ten minutes");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn running_attempts_go_on_and_settle_while_their_consumer_is_replaced() {
    let rig = Rig::new();
    let handler = Handler(async |_: Deliver, _| {
        tokio::time::sleep(Duration::from_secs(10)).await;
        completed()
    });
    rig.store.script(Operation::Next, [Fault::Pass, Fault::Fail]);
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let id = rig.enqueue(&deliver(1)).await;
    rig.until_state(id, TaskState::Completed).await;
    assert_eq!(rig.store.calls(Operation::Ack), 1, "by its first and only run");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_ends_without_having_been_stopped_is_a_failure_and_replaced_with_backoff() {
    let rig = Rig::new();
    let consumer = Arc::new(Ending::default());
    let ports = EnginePorts {
        queue_consumer: Arc::<Ending>::clone(&consumer),
        ..rig.ports()
    };
    let topics = vec![deliveries(Completes)];
    let engine = Engine::new(ports, workers(), &EventCatalogue::new(), Routes::new(), topics);
    let engine = engine.unwrap().start(&rig.health);
    tokio::time::sleep(Duration::from_mins(10)).await;
    let tries = consumer.consumed.load(Ordering::SeqCst);
    assert!((150..320).contains(&tries), "{tries} tries in ten minutes");
    assert_eq!(
        rig.health.causes(),
        ["topic deliveries: queue.ended: the consumer of deliveries ended without having been stopped"]
    );
    engine.stop().await;
}

/// Consumers that end at once, as when their queue was deleted. It gives up when it is asked so often that no time passes
/// any more.
#[derive(Default)]
struct Ending {
    consumed: AtomicUsize,
}

struct Ended;

#[async_trait]
impl QueueConsumer for Ending {
    async fn consume(&self, _: &TopicName, _: ConsumeOptions) -> Result<Box<dyn Deliveries>, ConsumeError> {
        if self.consumed.fetch_add(1, Ordering::SeqCst) > 5000 {
            pending::<()>().await;
        }
        Ok(Box::new(Ended))
    }
}

#[async_trait]
impl Deliveries for Ended {
    async fn next(&mut self) -> Result<Option<Box<dyn Delivery>>, ConsumeError> {
        Ok(None)
    }

    async fn stop(&mut self) {}
}
