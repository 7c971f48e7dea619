//! The runtime over a provider in memory whose calls go wrong as a test says, in the time of the timers.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Cause, Codec, EnvelopeFactory, EventEnvelope, Limits, TaskEnvelope};
use aftercommit_domain::events::{
    DomainEvent, EventCatalogue, EventFilter, EventLog, Outbox, OutboxMessage, OutboxStats, Routes,
    create_events_publisher,
};
use aftercommit_domain::ids::{Ids, MessageId};
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::{
    DeadLetter, DeadLetters, InboxClaim, InboxMessage, QueuePublisher, Task, TaskDetails, TaskInspector, TaskOptions,
    TaskState,
};
use aftercommit_domain::time::{Clock, Timestamp};
use aftercommit_domain::unit_of_work::UnitOfWorkFactory;
use aftercommit_runtime::bulk::{BulkPorts, BulkRunner};
use aftercommit_runtime::relay::{Relay, RelayOptions, RelayPorts};
use aftercommit_runtime::worker::Topic;
use aftercommit_runtime::{Engine, EngineOptions, EnginePorts, Health, LoopReport, Roles, RunningEngine};
use aftercommit_testkit::faults::Faulty;
use aftercommit_testkit::{InMemory, SeededIds, SeededRandomness, TestSealer};
use tokio::time::{sleep, timeout};

use super::clock::TimerClock;
use super::contracts;

/// What must happen happens within this time of the timers, which is paused: only longer than any backoff.
const SOON: Duration = Duration::from_hours(200);

pub(crate) struct Rig {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) randomness: Arc<dyn Randomness>,
    pub(crate) envelopes: EnvelopeFactory,
    pub(crate) store: Faulty<InMemory>,
    pub(crate) health: Health,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TimerClock::new());
        let ids: Arc<dyn Ids> = Arc::new(SeededIds::new(1));
        let codec = Codec::new(Arc::new(TestSealer::new()), Limits::default());
        let envelopes = EnvelopeFactory::new(codec, Arc::clone(&ids), Arc::clone(&clock), "/test");
        let store = Faulty::new(InMemory::new(Arc::clone(&clock), ids, envelopes.clone()));
        Self {
            health: Health::new(Arc::clone(&clock)),
            clock,
            randomness: Arc::new(SeededRandomness::new(1)),
            envelopes,
            store,
        }
    }

    pub(crate) fn ports(&self) -> EnginePorts {
        EnginePorts {
            outbox: Arc::new(self.store.clone()),
            outbox_transfer: None,
            queue_publisher: Arc::new(self.store.clone()),
            queue_consumer: Arc::new(self.store.clone()),
            queue_maintenance: Arc::new(self.store.clone()),
            event_log: Arc::new(self.store.clone()),
            event_feed: None,
            inbox: Arc::new(self.store.clone()),
            dead_letters: Arc::new(self.store.clone()),
            dead_letter_operations: Arc::new(self.store.inner().clone()),
            cancellations: Arc::new(self.store.inner().clone()),
            pauses: Arc::new(self.store.inner().clone()),
            bulk_runs: Arc::new(self.store.inner().clone()),
            schedules: Arc::new(self.store.clone()),
            envelopes: self.envelopes.clone(),
            clock: Arc::clone(&self.clock),
            randomness: Arc::clone(&self.randomness),
        }
    }

    /// Carries bulk runs out; the queue is the faulty one.
    pub(crate) fn bulk_runner(&self) -> BulkRunner {
        BulkRunner::new(BulkPorts {
            runs: Arc::new(self.store.inner().clone()),
            dead_letters: Arc::new(self.store.inner().clone()),
            event_log: Arc::new(self.store.inner().clone()),
            routes: Arc::new(contracts::routes()),
            envelopes: self.envelopes.clone(),
            queue: Arc::new(self.store.clone()),
        })
    }

    /// A relay without its loop.
    pub(crate) fn relay(&self, options: RelayOptions) -> Relay {
        self.relay_over(Arc::new(self.store.clone()), options)
    }

    /// A relay whose outbox and queue share a database.
    pub(crate) fn relay_by_the_shorter_way(&self, options: RelayOptions) -> Relay {
        let ports = RelayPorts {
            transfer: Some(Arc::new(self.store.clone())),
            ..self.relay_ports(Arc::new(self.store.clone()))
        };
        Relay::new(ports, options)
    }

    /// A relay over an outbox of the test's own.
    pub(crate) fn relay_over(&self, outbox: Arc<dyn Outbox>, options: RelayOptions) -> Relay {
        Relay::new(self.relay_ports(outbox), options)
    }

    fn relay_ports(&self, outbox: Arc<dyn Outbox>) -> RelayPorts {
        let queue: Arc<dyn QueuePublisher> = Arc::new(self.store.clone());
        RelayPorts {
            outbox,
            events: create_events_publisher(Arc::clone(&queue), Limits::default()),
            queue,
            transfer: None,
            clock: Arc::clone(&self.clock),
            randomness: Arc::clone(&self.randomness),
            catalogue: contracts::catalogue(),
            codec: self.envelopes.codec().clone(),
        }
    }

    /// Starts the relay alone, with its loop.
    pub(crate) fn start_relay(&self, relay: RelayOptions) -> RunningEngine {
        let roles = Roles {
            dispatcher: false,
            maintenance: false,
            ..Roles::default()
        };
        let options = EngineOptions {
            roles,
            relay,
            ..EngineOptions::default()
        };
        self.start(options, Vec::new())
    }

    /// Starts the workers of these topics, and what frees the tasks of lost ones.
    pub(crate) fn start_workers(&self, topics: Vec<Topic>) -> RunningEngine {
        self.start(workers(), topics)
    }

    /// Starts an engine that knows no events, so that a test declares only the handlers it is about.
    pub(crate) fn start(&self, options: EngineOptions, topics: Vec<Topic>) -> RunningEngine {
        let engine = Engine::new(self.ports(), options, &EventCatalogue::new(), Routes::new(), topics);
        engine.unwrap().start(&self.health)
    }

    /// Starts an engine that knows the events of the parcel service and what follows from them.
    pub(crate) fn start_with_events(&self, options: EngineOptions, topics: Vec<Topic>) -> RunningEngine {
        let engine = Engine::new(
            self.ports(),
            options,
            &contracts::catalogue(),
            contracts::routes(),
            topics,
        );
        engine.unwrap().start(&self.health)
    }

    pub(crate) fn event<E: DomainEvent>(&self, event: &E) -> EventEnvelope {
        self.envelopes
            .event(self.envelopes.new_id(), event, &Cause::root())
            .unwrap()
    }

    pub(crate) fn task<T: Task>(&self, task: &T) -> TaskEnvelope {
        self.envelopes
            .task(self.envelopes.new_id(), task, &TaskOptions::default(), &Cause::root())
            .unwrap()
    }

    /// Commits `messages` of one tenant in one transaction.
    pub(crate) async fn commit(&self, messages: Vec<OutboxMessage>) {
        let tenant = messages.first().unwrap().tenant().clone();
        let mut unit_of_work = self.store.inner().begin(&tenant, &Cause::root()).await.unwrap();
        unit_of_work.outbox().append(messages).await.unwrap();
        unit_of_work.commit().await.unwrap();
    }

    /// Commits an event. Answers its id.
    pub(crate) async fn commit_event<E: DomainEvent>(&self, event: &E) -> MessageId {
        let event = self.event(event);
        let id = event.id;
        self.commit(vec![OutboxMessage::Event(event)]).await;
        id
    }

    /// Puts a task on its topic, past all faults. Answers its id.
    pub(crate) async fn enqueue<T: Task>(&self, task: &T) -> MessageId {
        self.enqueue_envelope(self.task(task)).await
    }

    pub(crate) async fn enqueue_envelope(&self, task: TaskEnvelope) -> MessageId {
        let id = task.id;
        for result in self.store.inner().publish(vec![task]).await {
            result.unwrap();
        }
        id
    }

    /// Publishes an event without an outbox row, past all faults.
    pub(crate) async fn publish_event(&self, event: EventEnvelope) -> MessageId {
        let id = event.id;
        let queue: Arc<dyn QueuePublisher> = Arc::new(self.store.inner().clone());
        let events = create_events_publisher(queue, Limits::default());
        for result in events.publish(vec![event]).await {
            result.unwrap();
        }
        id
    }

    /// Claims a task as its handler would, in a transaction of its own.
    pub(crate) async fn claim(&self, task: &TaskEnvelope) -> InboxClaim {
        let mut unit_of_work = self.store.inner().begin(&task.tenant, &Cause::root()).await.unwrap();
        let claim = unit_of_work.inbox().claim(&InboxMessage::of(task)).await.unwrap();
        unit_of_work.commit().await.unwrap();
        claim
    }

    pub(crate) async fn outbox_stats(&self) -> OutboxStats {
        self.store.stats().await.unwrap()
    }

    /// The event log's ids, oldest first.
    pub(crate) async fn logged(&self) -> Vec<MessageId> {
        let filter = EventFilter {
            limit: Some(1000),
            ..EventFilter::default()
        };
        let events = EventLog::list(self.store.inner(), &filter).await.unwrap();
        events.iter().rev().map(|logged| logged.event.id).collect()
    }

    pub(crate) async fn details(&self, id: MessageId) -> TaskDetails {
        let found = TaskInspector::find(self.store.inner(), id).await.unwrap();
        found.unwrap_or_else(|| panic!("no trace of task {id}"))
    }

    pub(crate) async fn state(&self, id: MessageId) -> TaskState {
        self.details(id).await.summary.state
    }

    pub(crate) async fn dead_letter(&self, id: MessageId) -> DeadLetter {
        let found = DeadLetters::find(self.store.inner(), id).await.unwrap();
        found.unwrap_or_else(|| panic!("{id} is no dead letter"))
    }

    /// Returns once the task is in this state.
    pub(crate) async fn until_state(&self, id: MessageId, state: TaskState) {
        self.until(&format!("task {id} is {state:?}"), async || {
            let found = TaskInspector::find(self.store.inner(), id).await.unwrap();
            found.is_some_and(|details| details.summary.state == state)
        })
        .await;
    }

    /// Returns once `holds`. Paused time passes whenever nothing else is to be done; looks each millisecond of it at
    /// first, later not so often.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let waited = timeout(SOON, async {
            let mut looks = 0_u32;
            while !holds().await {
                looks += 1;
                let pause = if looks < 2000 { 1 } else { 10_000 };
                sleep(Duration::from_millis(pause)).await;
            }
        });
        assert!(waited.await.is_ok(), "waited for: {what}");
    }

    pub(crate) fn report(&self, name: &str) -> LoopReport {
        let reports = self.health.reports();
        let report = reports.into_iter().find(|report| report.name == name);
        report.unwrap_or_else(|| panic!("no loop {name}"))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The dispatcher without relay and rescuer; with the workers of the topics that are declared.
pub(crate) fn dispatcher() -> EngineOptions {
    EngineOptions {
        roles: Roles {
            relay: false,
            maintenance: false,
            ..Roles::default()
        },
        ..EngineOptions::default()
    }
}

/// Workers without relay and dispatcher.
pub(crate) fn workers() -> EngineOptions {
    EngineOptions {
        roles: Roles {
            relay: false,
            dispatcher: false,
            ..Roles::default()
        },
        ..EngineOptions::default()
    }
}
