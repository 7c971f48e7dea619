//! Workers of the reference product: one file for each task, under the name of its topic.
//!
//! A handler re-fetches, decides whether the work is still wanted, acts, and records; the steps that touch the database
//! are use cases of the domain, so that a handler reads as the order they happen in. [`topics`] is everything this
//! package owns.

#![warn(missing_docs)]

mod handlers;
mod ledger_billing;
mod ports;
mod templates;
mod topics;
pub mod wiring;

pub use ports::{HandlerPorts, Rails};
pub use templates::{TemplateError, Templates};
pub use topics::topics;
