//! The queue of Aftercommit on RabbitMQ: 3.10 and later.

#![warn(missing_docs)]

mod broker;
mod declarer;
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
