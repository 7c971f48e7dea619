//! Domain events: the fact, the outbox it is written to with its state change, and the table of what follows from it.

mod catalogue;
mod dispatch;
mod event;
mod event_log;
mod feed;
mod outbox;
mod publisher;
mod replay;
mod routes;
mod transfer;
mod workflow_dispatch;

pub use aftercommit_domain_macros::DomainEvent;
pub use catalogue::{EventCatalogue, EventDescriptor, ReadInputError};
pub use dispatch::{Dispatch, DispatchTarget, IntoDispatches, Publish, publish};
pub use event::DomainEvent;
pub use event_log::{EventFilter, EventLog, EventLogError, LoggedEvent};
pub use feed::EventFeed;
pub use outbox::{
    Claim, Claimed, LeaseToken, Marked, Outbox, OutboxError, OutboxMessage, OutboxStats, OutboxWriter, OutboxWriterExt,
    QuarantinedRow, RawOutboxMessage, RelayPolicy, Release, WriteError, release_after,
};
pub use publisher::{
    DISPATCH_TASK, DOMAIN_EVENTS_TOPIC, EventsPublisher, EventsPublisherExt, create_events_publisher, dispatch_envelope,
};
pub use replay::{EventCursor, EventSelection, MOST_LISTED_EVENTS};
pub use routes::{Occurrence, Route, RouteEffect, RouteError, Routes, RoutesError};
pub use transfer::OutboxTransfer;
pub use workflow_dispatch::{Signal, SignalWithStart, Start, signal, signal_with_start, start, start_external};
