//! The reference product on memory, ready for a test.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{EventEnvelope, Limits, TaskEnvelope, Tenant, TopicName};
use aftercommit_domain::events::{DOMAIN_EVENTS_TOPIC, DomainEvent, Outbox, OutboxMessage};
use aftercommit_domain::reference::{ProductSettings, ReferencePorts};
use aftercommit_domain::tasks::{Task, TaskDetails, TaskFilter, TaskInspector};
use aftercommit_domain::time::Timestamp;

use super::MemoryReference;
use crate::fakes::{TestSealer, TestServices, test_services};
use crate::memory::InMemory;

/// How long a test may look at claimed events; nobody else wants them.
const LEASE: Duration = Duration::from_hours(1);

/// The reference product on memory: its ports, and what a test holds in its hands.
#[derive(Clone)]
pub struct ReferenceHarness {
    /// Clock, ids, randomness, codec.
    pub services: TestServices,
    /// The outbox and the queue.
    pub provider: InMemory,
    /// The rows.
    pub store: MemoryReference,
    /// What use cases and handlers are built with. The product is at `http://product.test`.
    pub ports: ReferencePorts,
}

impl ReferenceHarness {
    /// An empty product.
    pub fn new() -> Self {
        Self::with_services(test_services())
    }

    /// An empty product in the time of `services`.
    pub fn with_services(services: TestServices) -> Self {
        let provider = InMemory::for_tests(&services);
        let store = MemoryReference::new(provider.clone());
        let ports = ReferencePorts {
            units: Arc::new(store.clone()),
            reader: Arc::new(store.clone()),
            sealer: Arc::new(TestSealer::new()),
            clock: services.clock_port(),
            ids: services.ids_port(),
            randomness: services.randomness_port(),
            settings: Arc::new(ProductSettings::at("http://product.test")),
        };
        Self {
            services,
            provider,
            store,
            ports,
        }
    }

    /// Takes the events that were committed since the last call, oldest first.
    ///
    /// # Panics
    /// When the outbox holds something else than events.
    #[expect(clippy::panic, reason = "a test fails by a panic")]
    pub async fn take_events(&self) -> Vec<EventEnvelope> {
        let messages = self.take_messages().await.into_iter();
        messages
            .map(|message| match message {
                OutboxMessage::Event(event) => event,
                OutboxMessage::Task(task) => panic!("the outbox holds events only, and {} {}", task.task, task.id),
            })
            .collect()
    }

    /// Takes the tasks that were committed since the last call, oldest first, and drops the events.
    pub async fn take_tasks(&self) -> Vec<TaskEnvelope> {
        let messages = self.take_messages().await.into_iter();
        messages
            .filter_map(|message| match message {
                OutboxMessage::Task(task) => Some(task),
                OutboxMessage::Event(_) => None,
            })
            .collect()
    }

    #[expect(clippy::expect_used, reason = "a test fails by a panic")]
    async fn take_messages(&self) -> Vec<OutboxMessage> {
        let mut messages = Vec::new();
        loop {
            let claimed = self.provider.claim(1000, LEASE).await.expect("memory is never away");
            if claimed.is_empty() {
                return messages;
            }
            let claims: Vec<_> = claimed.iter().map(|one| one.claim).collect();
            messages.extend(claimed.iter().map(|one| {
                OutboxMessage::from_raw(&one.message, &Limits::default()).expect("the outbox holds what can be read")
            }));
            self.provider
                .mark_published(&claims)
                .await
                .expect("memory is never away");
        }
    }

    /// The task in an envelope.
    ///
    /// # Panics
    /// When it is another one.
    #[expect(clippy::expect_used, reason = "a test fails by a panic")]
    pub fn read_task<T: Task>(&self, task: &TaskEnvelope) -> T {
        self.services
            .codec
            .decode(&task.payload, task.version, &task.tenant, task.id)
            .expect("the envelope holds this task")
    }

    /// The tasks of this kind that wait in the queue, oldest first, and when each is due, if it waits for a time.
    ///
    /// # Panics
    /// When one cannot be read.
    #[expect(clippy::expect_used, reason = "a test fails by a panic")]
    pub async fn waiting<T: Task>(&self) -> Vec<(T, Option<Timestamp>)> {
        let mut waiting = Vec::new();
        for details in self.on_topic(T::TOPIC).await {
            let TaskDetails { summary, payload, .. } = details;
            let (Some(payload), true) = (payload, summary.task == T::NAME.as_str()) else {
                continue;
            };
            let organization = summary
                .organization_id
                .expect("the product's tasks are an organization's");
            let tenant = match summary.project_id {
                Some(project) => Tenant::project(organization, project),
                None => Tenant::organization(organization),
            };
            let codec = &self.services.codec;
            let task = codec.decode(&payload, T::VERSION, &tenant, summary.id);
            waiting.push((task.expect("it holds this task"), summary.due_at));
        }
        waiting
    }

    /// The events that were published on the direct rail, oldest first.
    ///
    /// # Panics
    /// When one cannot be read.
    #[expect(clippy::expect_used, reason = "a test fails by a panic")]
    pub async fn direct_events(&self) -> Vec<EventEnvelope> {
        let carried = self.on_topic(DOMAIN_EVENTS_TOPIC).await.into_iter();
        let events = carried.filter_map(|task| task.payload).map(|payload| {
            EventEnvelope::decode(payload.as_str().as_bytes(), &Limits::default()).expect("the topic carries events")
        });
        events.collect()
    }

    #[expect(clippy::expect_used, reason = "a test fails by a panic")]
    async fn on_topic(&self, topic: TopicName) -> Vec<TaskDetails> {
        let filter = TaskFilter {
            topic: Some(topic),
            limit: Some(1000),
            ..TaskFilter::default()
        };
        let listed = self.provider.list(&filter).await.expect("memory is never away");
        let mut tasks = Vec::new();
        for summary in listed.into_iter().rev() {
            let found = TaskInspector::find(&self.provider, summary.id).await;
            tasks.extend(found.expect("memory is never away"));
        }
        tasks
    }

    /// The event in an envelope.
    ///
    /// # Panics
    /// When it is another one.
    #[expect(clippy::expect_used, reason = "a test fails by a panic")]
    pub fn read<E: DomainEvent>(&self, event: &EventEnvelope) -> E {
        self.services
            .codec
            .decode(&event.payload, event.version, &event.tenant, event.id)
            .expect("the envelope holds this event")
    }
}

impl Default for ReferenceHarness {
    fn default() -> Self {
        Self::new()
    }
}
