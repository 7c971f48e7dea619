//! Tasks whose runs were lost again and again.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::contract::{RawTask, TaskEnvelope, TopicName};
use aftercommit_domain::events::{EventCatalogue, Routes};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    ConsumeError, ConsumeOptions, Deliveries, Delivery, Outcome, QueueConsumer, SettleError, TaskContext, TaskResult,
    TaskState, completed,
};
use aftercommit_domain::time::Timestamp;
use aftercommit_runtime::worker::Topic;
use aftercommit_runtime::{Engine, EnginePorts, RunningEngine};
use aftercommit_testkit::faults::{Fault, Operation};
use async_trait::async_trait;

use crate::support::contracts::{Announce, Deliver, announce, deliver, deliveries};
use crate::support::handlers::{Handler, Seen};
use crate::support::rig::{Rig, workers};

#[tokio::test(start_paused = true)]
async fn a_task_that_must_run_alone_does_whatever_its_topic_and_until_its_end_is_written() {
    let rig = Rig::new();
    let (suspects, seen) = (Suspects::over(&rig), Seen::nothing());
    let running = Arc::new(AtomicUsize::new(0));
    let (delivering, announcing) = (Beside::new(&seen, &running), Beside::new(&seen, &running));
    let deliveries = deliveries(Handler(move |_: Deliver, ctx| delivering.run(ctx))).concurrency(3);
    let letters = Topic::named("letters").handle::<Announce>(Handler(move |_: Announce, ctx| announcing.run(ctx)));
    let mut ids = Vec::new();
    for number in 1..=6 {
        ids.push(rig.enqueue(&deliver(number)).await);
        ids.push(rig.enqueue(&announce(number)).await);
    }
    let alone = [ids[2], ids[9]];
    for id in alone {
        suspects.suspect(id);
    }
    // So that each ends long before that is written.
    rig.store.always(Operation::Ack, Fault::Delay(Duration::from_secs(3)));
    let engine = suspects.start(&rig, vec![deliveries, letters]);
    for id in &ids {
        rig.until_state(*id, TaskState::Completed).await;
    }
    let seen = seen.all();
    assert_eq!(seen.len(), ids.len());
    let end_of = |id| seen.iter().find(|run| run.id == id).unwrap().end;
    for run in &seen {
        let must_be_alone = alone.contains(&run.id);
        assert!(
            !must_be_alone || run.beside == 0,
            "{} ran beside {}",
            run.beside,
            run.id
        );
        for one in alone {
            let since = run.begin - end_of(one);
            let is_in_its_settling = since >= chrono::Duration::zero() && since < chrono::Duration::seconds(3);
            assert!(
                !is_in_its_settling,
                "{} began while the end of {one} was being written",
                run.id
            );
        }
    }
    let mut begun = suspects.begun();
    begun.sort_unstable();
    let mut expected = alone.to_vec();
    expected.sort_unstable();
    assert_eq!(begun, expected, "and the queue knew it before it ran");
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
async fn what_lost_its_lease_while_it_waited_for_one_that_ran_alone_is_not_run() {
    let rig = Rig::new();
    let (suspects, seen) = (Suspects::over(&rig), Seen::nothing());
    let noted = seen.clone();
    let handler = Handler(move |_: Deliver, ctx: TaskContext| {
        noted.add(ctx.task_id());
        async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            completed()
        }
    });
    let alone = rig.enqueue(&deliver(1)).await;
    suspects.suspect(alone);
    let waits = rig.enqueue(&deliver(2)).await;
    suspects.lose(waits, 1);
    let engine = suspects.start(&rig, vec![deliveries(handler)]);
    rig.until_state(alone, TaskState::Completed).await;
    rig.until_state(waits, TaskState::Completed).await;
    assert_eq!(seen.all().iter().filter(|id| **id == waits).count(), 1);
    assert_eq!(suspects.asked(waits), 2, "the first time it was not to be run");
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

/// A handler that takes its time and notes how many ran beside it.
struct Beside {
    seen: Seen<Run>,
    running: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Run {
    id: MessageId,
    begin: Timestamp,
    end: Timestamp,
    beside: usize,
}

impl Beside {
    fn new(seen: &Seen<Run>, running: &Arc<AtomicUsize>) -> Self {
        Self {
            seen: seen.clone(),
            running: Arc::clone(running),
        }
    }

    fn run(&self, ctx: TaskContext) -> impl Future<Output = TaskResult> + use<> {
        let (seen, running) = (self.seen.clone(), Arc::clone(&self.running));
        async move {
            let (begin, before) = (ctx.now(), running.fetch_add(1, Ordering::SeqCst));
            tokio::time::sleep(Duration::from_secs(2)).await;
            let after = running.fetch_sub(1, Ordering::SeqCst) - 1;
            seen.add(Run {
                id: ctx.task_id(),
                begin,
                end: ctx.now(),
                beside: before.max(after),
            });
            completed()
        }
    }
}

/// A queue in which some tasks are to run alone.
struct Suspects {
    inner: Arc<dyn QueueConsumer>,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Default)]
struct Notes {
    suspects: HashSet<MessageId>,
    begun: Vec<MessageId>,
    refusals: usize,
    lost: HashMap<MessageId, usize>,
    asked: HashMap<MessageId, usize>,
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

    /// The next so many deliveries of this task are no longer this worker's when it asks.
    fn lose(&self, id: MessageId, times: usize) {
        self.notes.lock().unwrap().lost.insert(id, times);
    }

    /// How often it was asked whether this task is still held.
    fn asked(&self, id: MessageId) -> usize {
        self.notes.lock().unwrap().asked.get(&id).copied().unwrap_or_default()
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

    fn is_held(&self) -> bool {
        let mut notes = self.notes.lock().unwrap();
        *notes.asked.entry(self.id).or_default() += 1;
        let lost = notes.lost.entry(self.id).or_default();
        let is_held = *lost == 0;
        *lost = lost.saturating_sub(1);
        is_held
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

    async fn set_aside(self: Box<Self>) -> Result<(), SettleError> {
        self.inner.set_aside().await
    }
}
