//! What the relay works over.

use std::sync::Arc;

use aftercommit_domain::contract::Codec;
use aftercommit_domain::events::{EventCatalogue, EventsPublisher, Outbox, OutboxTransfer};
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::QueuePublisher;
use aftercommit_domain::time::Clock;

/// What the relay needs.
pub struct RelayPorts {
    /// Where messages come from.
    pub outbox: Arc<dyn Outbox>,
    /// Where events go.
    pub events: Arc<dyn EventsPublisher>,
    /// Where tasks go.
    pub queue: Arc<dyn QueuePublisher>,
    /// The shorter way, where the outbox's database is the queue's too.
    pub transfer: Option<Arc<dyn OutboxTransfer>>,
    /// For the lag metric.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub randomness: Arc<dyn Randomness>,
    /// The events whose payloads it checks.
    pub catalogue: EventCatalogue,
    /// For decoding.
    pub codec: Codec,
}
