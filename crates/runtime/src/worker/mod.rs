//! The worker: takes tasks from topics, runs their handlers, settles what came of it.

mod attempt;
mod registry;
mod settle;
mod topic;
mod topic_loop;
mod topic_metrics;

pub use attempt::AttemptServices;
pub use registry::{Registry, RegistryError, TaskInputs};

pub(crate) use registry::TopicDefaults;
pub use topic::{EnvelopeHandler, Topic, TopicOverrides};
pub use topic_loop::{TopicLoop, TopicLoopPorts};
