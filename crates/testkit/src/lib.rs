//! Conformance suites, stateful fakes and an in-memory provider for Aftercommit and its users.
//!
//! - [`conformance`]: one scenario for each sentence of the ports' contracts; any provider runs them all.
//! - [`memory`]: the provider without a store, which the others are compared with.
//! - [`fakes`]: time, ids, randomness, sealing, e-mail, webhooks and objects that a test holds in its hands.
//! - `postgres_server` (feature `postgres-server`): a throw-away PostgreSQL, and a fresh database for each test.
//! - `rabbitmq_server` (feature `rabbitmq-server`): a throw-away RabbitMQ.
//! - `temporal_server` (feature `temporal-server`): a throw-away Temporal.
//! - `s3_server` (feature `s3-server`): a throw-away S3.
//! - `proxy` (feature `proxy`): stands between a client and a server, and delays, cuts and holds what passes.
//! - [`webhook_receiver`]: a receiver of webhooks that keeps what it takes and misbehaves as told.
//! - [`faults`]: a wrapper round any provider that fails, hangs and loses replies as a test says.
//! - [`InMemoryWorkflows`]: a workflow engine whose time passes when a test says so, and that crashes where it is told;
//!   [`try_workflow`] makes it do so wherever it can.
//! - [`TaskContextBuilder`]: runs one handler as a worker would.
//! - `TestApplication` (feature `application`, on by default): runs a whole application in memory, until it has nothing left
//!   to do.

#![warn(missing_docs)]

#[cfg(feature = "application")]
mod application;
mod cancellation;
pub mod conformance;
pub mod fakes;
pub mod faults;
pub mod memory;
#[cfg(all(unix, feature = "postgres-server"))]
pub mod postgres_server;
#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(all(unix, feature = "rabbitmq-server"))]
pub mod rabbitmq_server;
#[cfg(feature = "reference")]
pub mod reference;
#[cfg(all(unix, feature = "s3-server"))]
pub mod s3_server;
pub mod smtp_server;
mod task_context;
#[cfg(all(unix, feature = "temporal-server"))]
pub mod temporal_server;
#[cfg(all(
    unix,
    any(
        feature = "postgres-server",
        feature = "rabbitmq-server",
        feature = "s3-server",
        feature = "temporal-server"
    )
))]
mod throw_away;
pub mod webhook_receiver;
mod workflows;

#[cfg(feature = "application")]
pub use application::{StillBusy, TestApplication, TestKit};
pub use cancellation::dropped_after;
pub use fakes::{
    InMemoryObjectStorage, ManualClock, RecordingEmailSender, RecordingWebhookSender, SeededIds, SeededRandomness,
    SendStep, SentEmail, SentWebhook, StorageStep, TestSealer, TestServices, WebhookStep, test_services,
};
pub use memory::InMemory;
pub use task_context::TaskContextBuilder;
pub use workflows::{
    InMemoryWorkflows, JudgeCancelled, TrialReport, WorkflowFaults, WorkflowHistory, WorkflowTrial, try_workflow,
};
