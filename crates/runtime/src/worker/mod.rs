//! The worker: takes tasks from topics, runs their handlers, settles what came of it.

mod attempt;
mod isolation;
mod parked;
mod registry;
mod settle;
mod topic;
mod topic_loop;
mod topic_metrics;

pub use registry::TaskInputs;
pub use topic::{EnvelopeHandler, Topic, TopicOverrides};

pub(crate) use isolation::Isolation;
pub(crate) use registry::{Registry, TopicDefaults};
pub(crate) use topic_loop::{TopicLoop, TopicLoopPorts};
