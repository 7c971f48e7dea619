//! The reference product on memory, ready for a test.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{EventEnvelope, Limits};
use aftercommit_domain::events::{DomainEvent, Outbox};
use aftercommit_domain::reference::{ProductSettings, ReferencePorts};

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
    #[expect(clippy::expect_used, reason = "a test fails by a panic")]
    pub async fn take_events(&self) -> Vec<EventEnvelope> {
        let mut events = Vec::new();
        loop {
            let claimed = self.provider.claim(1000, LEASE).await.expect("memory is never away");
            if claimed.is_empty() {
                return events;
            }
            let claims: Vec<_> = claimed.iter().map(|one| one.claim).collect();
            events.extend(claimed.iter().map(|one| {
                EventEnvelope::decode(&one.message.body, &Limits::default()).expect("the outbox holds events only")
            }));
            self.provider
                .mark_published(&claims)
                .await
                .expect("memory is never away");
        }
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
