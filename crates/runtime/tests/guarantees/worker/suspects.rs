//! Tasks whose runs were lost again and again.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::contract::{RawTask, TaskEnvelope, TopicName};
use aftercommit_domain::events::{EventCatalogue, Routes};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    ConsumeError, ConsumeOptions, Deliveries, Delivery, Outcome, QueueConsumer, SettleError, TaskContext, TaskState,
    completed,
};
use aftercommit_runtime::worker::Topic;
use aftercommit_runtime::{Engine, EnginePorts, RunningEngine};
use async_trait::async_trait;

use crate::support::contracts::{Deliver, deliver, deliveries};
use crate::support::handlers::{Handler, Seen};
use crate::support::rig::{Rig, workers};

#[tokio::test(start_paused = true)]
async fn a_suspect_runs_with_nothing_beside_it() {
    let rig = Rig::new();
    let (suspects, seen) = (Suspects::over(&rig), Seen::nothing());
    let noted = seen.clone();
    let running = Arc::new(AtomicUsize::new(0));
    let handler = Handler(move |_: Deliver, ctx: TaskContext| {
        let (noted, running) = (noted.clone(), Arc::clone(&running));
        async move {
            let beside = running.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(2)).await;
            let beside = beside.max(running.fetch_sub(1, Ordering::SeqCst) - 1);
            noted.add((ctx.task_id(), beside));
            completed()
        }
    });
    let mut ids = Vec::new();
    for number in 1..=9 {
        ids.push(rig.enqueue(&deliver(number)).await);
    }
    suspects.suspect(ids[1]);
    suspects.suspect(ids[6]);
    let engine = suspects.start(&rig, vec![deliveries(handler).concurrency(3)]);
    for id in &ids {
        rig.until_state(*id, TaskState::Completed).await;
    }
    let seen = seen.all();
    assert_eq!(seen.len(), ids.len());
    for (id, beside) in seen {
        let is_suspect = id == ids[1] || id == ids[6];
        assert!(!is_suspect || beside == 0, "{beside} ran beside the suspect {id}");
    }
    assert_eq!(
        suspects.begun(),
        [ids[1], ids[6]],
        "and the queue knew it before it ran"
    );
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_another_worker_has_by_now_is_not_run_here() {
    let rig = Rig::new();
    let (suspects, seen) = (Suspects::over(&rig), Seen::nothing());
    let noted = seen.clone();
    let handler = Handler(move |_: Deliver, ctx: TaskContext| {
        noted.add(ctx.task_id());
        async { completed() }
    });
    let suspect = rig.enqueue(&deliver(1)).await;
    suspects.suspect(suspect);
    suspects.refuse(2);
    let engine = suspects.start(&rig, vec![deliveries(handler)]);
    let next = rig.enqueue(&deliver(2)).await;
    rig.until_state(next, TaskState::Completed).await;
    rig.until_state(suspect, TaskState::Completed).await;
    assert_eq!(suspects.begun().len(), 3);
    assert_eq!(seen.all().iter().filter(|id| **id == suspect).count(), 1);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_waits_for_its_turn_is_given_back_by_a_stop_and_what_waits_for_it_too() {
    let rig = Rig::new();
    let (suspects, seen) = (Suspects::over(&rig), Seen::nothing());
    let noted = seen.clone();
    let handler = Handler(move |_: Deliver, ctx: TaskContext| {
        noted.add(ctx.task_id());
        async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            completed()
        }
    });
    let long = rig.enqueue(&deliver(1)).await;
    let engine = suspects.start(&rig, vec![deliveries(handler)]);
    rig.until("it runs", async || seen.count() == 1).await;
    let suspect = rig.task(&deliver(2));
    suspects.suspect(suspect.id);
    let suspect = rig.enqueue_envelope(suspect).await;
    let behind = rig.enqueue(&deliver(3)).await;
    rig.until("both are taken", async || {
        rig.state(suspect).await == TaskState::Running && rig.state(behind).await == TaskState::Running
    })
    .await;
    engine.stop().await;
    assert_eq!(rig.state(long).await, TaskState::Completed, "what ran is finished");
    assert_eq!(rig.state(suspect).await, TaskState::Available);
    assert_eq!(rig.state(behind).await, TaskState::Available);
    assert_eq!(seen.all(), [long]);
}

/// A queue in which some tasks are suspects.
struct Suspects {
    inner: Arc<dyn QueueConsumer>,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Default)]
struct Notes {
    suspects: HashSet<MessageId>,
    begun: Vec<MessageId>,
    refusals: usize,
}

impl Suspects {
    fn over(rig: &Rig) -> Self {
        Self {
            inner: rig.ports().queue_consumer,
            notes: Arc::default(),
        }
    }

    fn suspect(&self, id: MessageId) {
        self.notes.lock().unwrap().suspects.insert(id);
    }

    /// The next so many times the lease of a suspect is lost before it runs.
    fn refuse(&self, times: usize) {
        self.notes.lock().unwrap().refusals = times;
    }

    /// The suspects that were to run alone, in this order.
    fn begun(&self) -> Vec<MessageId> {
        self.notes.lock().unwrap().begun.clone()
    }

    fn start(&self, rig: &Rig, topics: Vec<Topic>) -> RunningEngine {
        let ports = EnginePorts {
            queue_consumer: Arc::new(Self {
                inner: Arc::clone(&self.inner),
                notes: Arc::clone(&self.notes),
            }),
            ..rig.ports()
        };
        let engine = Engine::new(ports, workers(), &EventCatalogue::new(), Routes::new(), topics);
        engine.unwrap().start(&rig.health)
    }
}

struct WithSuspects {
    inner: Box<dyn Deliveries>,
    notes: Arc<Mutex<Notes>>,
}

struct Suspected {
    inner: Box<dyn Delivery>,
    id: MessageId,
    notes: Arc<Mutex<Notes>>,
}

#[async_trait]
impl QueueConsumer for Suspects {
    async fn consume(&self, topic: &TopicName, options: ConsumeOptions) -> Result<Box<dyn Deliveries>, ConsumeError> {
        let (inner, notes) = (self.inner.consume(topic, options).await?, Arc::clone(&self.notes));
        Ok(Box::new(WithSuspects { inner, notes }))
    }
}

#[async_trait]
impl Deliveries for WithSuspects {
    async fn next(&mut self) -> Result<Option<Box<dyn Delivery>>, ConsumeError> {
        let next = self.inner.next().await?;
        Ok(next.map(|inner| {
            let task = TaskEnvelope::decode(&inner.task().body, &aftercommit_domain::contract::Limits::default());
            let (id, notes) = (task.unwrap().id, Arc::clone(&self.notes));
            Box::new(Suspected { inner, id, notes }) as Box<dyn Delivery>
        }))
    }

    async fn stop(&mut self) {
        self.inner.stop().await;
    }
}

#[async_trait]
impl Delivery for Suspected {
    fn task(&self) -> &RawTask {
        self.inner.task()
    }

    fn attempt(&self) -> u32 {
        self.inner.attempt()
    }

    fn redelivered(&self) -> bool {
        self.inner.redelivered()
    }

    fn must_run_alone(&self) -> bool {
        self.notes.lock().unwrap().suspects.contains(&self.id)
    }

    async fn begin_alone(&self) -> Result<(), SettleError> {
        let mut notes = self.notes.lock().unwrap();
        notes.begun.push(self.id);
        if notes.refusals > 0 {
            notes.refusals -= 1;
            return Err(SettleError::Stale);
        }
        Ok(())
    }

    async fn ack(self: Box<Self>, outcome: &Outcome) -> Result<(), SettleError> {
        self.inner.ack(outcome).await
    }

    async fn retry(
        self: Box<Self>,
        after: Duration,
        counted: bool,
        failure: Option<&Failure>,
    ) -> Result<(), SettleError> {
        self.inner.retry(after, counted, failure).await
    }

    async fn dead_letter(self: Box<Self>, failure: &Failure) -> Result<(), SettleError> {
        self.inner.dead_letter(failure).await
    }

    async fn give_back(self: Box<Self>) -> Result<(), SettleError> {
        self.inner.give_back().await
    }
}
