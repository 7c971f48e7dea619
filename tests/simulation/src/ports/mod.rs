//! The ports of a process: those of the store, over a way that is not to be trusted.

mod deliveries;
mod outbox;
mod publishing;
mod records;
mod unit_of_work;

use std::sync::Arc;

use aftercommit_testkit::InMemory;

use crate::link::Link;

pub(crate) use unit_of_work::Transaction;

/// What a failed call says.
const REASON: &str = "the simulation says so";

/// The ports of a process.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) link: Arc<Link>,
    pub(crate) store: InMemory,
}
