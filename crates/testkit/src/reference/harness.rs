//! The reference product on memory, ready for a test.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{EventEnvelope, Limits, TaskEnvelope};
use aftercommit_domain::events::{DomainEvent, Outbox, OutboxMessage};
use aftercommit_domain::reference::{ProductSettings, ReferencePorts};
use aftercommit_domain::tasks::Task;

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
        let services = test_services();
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
