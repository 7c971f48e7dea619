//! The loops of Aftercommit over ports: relay, dispatcher, worker, scheduler, rescuer, and the lifecycle that starts and stops them.
//!
//! Nothing in here names a database, a broker or an event. A loop never dies of an error: it backs off, shows why in
//! [`Health`], and goes on. Decisions are the domain's ([`aftercommit_domain::tasks::settle`],
//! [`aftercommit_domain::events::release_after`]); the loops carry them out.

#![warn(missing_docs)]

#[macro_use]
mod failpoint;

pub mod bulk;
pub mod dispatcher;
#[cfg(feature = "failpoints")]
pub mod failpoints;
pub mod health;
pub mod lifecycle;
pub mod maintenance;
pub mod relay;
pub mod scheduler;
pub mod system;
pub mod worker;
pub mod workflow_requests;

mod counted_publisher;
mod engine;
mod options;
mod orders;

pub use counted_publisher::CountedPublisher;
pub use engine::{Engine, RunningEngine, StartError};
pub use health::{Health, LoopHealth, LoopReport, LoopStatus};
pub use options::{EngineOptions, EnginePorts, Roles};
pub use workflow_requests::workflow_requests_topic;
