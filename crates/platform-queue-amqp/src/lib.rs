//! The queue of Aftercommit on RabbitMQ: 3.10 and later.

#![warn(missing_docs)]

#[macro_use]
mod failpoint;

mod broker;
mod declarer;
#[cfg(feature = "failpoints")]
pub mod failpoints;
mod feed;
mod link;
mod options;
mod queue;
mod task_inspector;
mod topology;
mod trouble;

pub use link::try_to_connect;
pub use options::{AmqpOptions, AmqpServices, AmqpStores, AmqpTls};
pub use queue::AmqpQueue;
