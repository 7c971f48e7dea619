//! What Aftercommit means: contracts, ports and pure decisions, without any I/O.
//!
//! A use case commits its change together with a [domain event](events::DomainEvent) through an
//! [`OutboxWriter`](events::OutboxWriter). A relay takes the event to the `domain-events` topic, the dispatcher looks
//! up its [`Routes`](events::Routes), and each route publishes [tasks](tasks::Task) that a
//! [`TaskHandler`](tasks::TaskHandler) runs. This crate owns the words of that sentence: the envelopes, the names, the
//! tenant rule, the ports every provider implements, and the one function that decides what an attempt's result means
//! ([`tasks::settle`]).
//!
//! Nothing in here reads a clock, draws a random number or opens a socket; time, ids and randomness are ports
//! ([`time::Clock`], [`ids::Ids`], [`randomness::Randomness`]).

#![warn(missing_docs)]

// The derives name this crate by its outside name, so that they also work inside it.
extern crate self as aftercommit_domain;

pub mod bulk;
pub mod contract;
pub mod effects;
pub mod events;
pub mod failure;
pub mod ids;
pub mod lineage;
pub mod randomness;
mod redaction;
pub mod tasks;
pub mod time;
pub mod unit_of_work;
pub mod workflows;

#[cfg(feature = "reference")]
pub mod reference;

/// What the derives refer to; not part of the public interface.
#[doc(hidden)]
pub mod derive_support {
    pub use serde_json;
}
