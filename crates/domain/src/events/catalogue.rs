//! The events an application knows.

use serde::Serialize;

use crate::contract::{AggregateType, EventName, Scope};
use crate::events::DomainEvent;

/// The events an application knows. Each must have an entry in its [`Routes`](crate::events::Routes).
#[derive(Debug, Clone, Default)]
pub struct EventCatalogue {
    events: Vec<EventDescriptor>,
}

/// What is known of an event without an instance of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventDescriptor {
    /// Its name.
    pub name: EventName,
    /// The newest version.
    pub version: u16,
    /// What it is about.
    pub aggregate: AggregateType,
    /// Which tenant ids it carries.
    pub scope: Scope,
    /// Why fewer than both.
    pub exemption: Option<&'static str>,
}

impl EventCatalogue {
    /// An empty catalogue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event.
    pub fn with<E: DomainEvent>(mut self) -> Self {
        self.events.push(EventDescriptor {
            name: E::NAME,
            version: E::VERSION,
            aggregate: E::AGGREGATE,
            scope: E::SCOPE,
            exemption: E::EXEMPTION,
        });
        self
    }

    /// The events, in the order they were added.
    pub fn events(&self) -> &[EventDescriptor] {
        &self.events
    }
}

/// Lists the events of an application: `catalogue![InvoicePaid, InvoiceViewed]`.
#[macro_export]
macro_rules! catalogue {
    ($($event:ty),* $(,)?) => {
        $crate::events::EventCatalogue::new()$(.with::<$event>())*
    };
}
