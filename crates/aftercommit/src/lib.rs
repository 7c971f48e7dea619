//! The asynchronous backbone of a multi-tenant SaaS. *Commit. The rest follows.*
//!
//! Write an event in the transaction that changes your state; its tasks run afterwards, retried, in order, with an
//! outcome each. Without any configuration everything is one process on one SQLite file.
//!
//! ```no_run
//! use aftercommit::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, DomainEvent)]
//! #[event(name = "InvoicePaid", version = 1, aggregate = "invoice")]
//! struct InvoicePaid { organization_id: OrganizationId, project_id: ProjectId, #[aggregate_id] invoice_id: i64 }
//!
//! #[derive(Serialize, Deserialize, Task)]
//! #[task(topic = "receipts", name = "send", version = 1)]
//! struct SendReceipt { organization_id: OrganizationId, project_id: ProjectId, invoice_id: i64 }
//!
//! struct Receipts;
//!
//! #[async_trait]
//! impl TaskHandler<SendReceipt> for Receipts {
//!     async fn handle(&self, task: SendReceipt, _ctx: &TaskContext) -> TaskResult {
//!         println!("receipt for invoice {}", task.invoice_id);
//!         completed()
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::process::ExitCode {
//!     Aftercommit::from_env()
//!         .events(catalogue![InvoicePaid])
//!         .routes(Routes::new().on(|e: &InvoicePaid| publish(SendReceipt {
//!             organization_id: e.organization_id.clone(),
//!             project_id: e.project_id.clone(),
//!             invoice_id: e.invoice_id,
//!         })))
//!         .topic(Topic::named("receipts").handle::<SendReceipt>(Receipts))
//!         .run()
//!         .await
//! }
//! ```

#![warn(missing_docs)]

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
compile_error!(
    "`aftercommit` needs a database: enable the feature of at least one provider, such as \
     `aftercommit = { version = \"…\", default-features = false, features = [\"sqlite\"] }`"
);

#[macro_use]
mod failpoint;

#[cfg(feature = "failpoints")]
pub mod failpoints;
pub mod http;

mod application;
mod data_directory;
pub mod doctor;
mod engine_options;
mod foreign_transaction;
mod foundation;
mod idle;
mod kit;
mod message_tree;
mod opened;
mod providers;
mod roles;
mod run_file;
#[cfg(feature = "postgres")]
pub mod schema;
mod serve;
mod served;
mod startup;
mod stop_signals;
pub mod workflows;

pub use aftercommit_domain as domain;
pub use aftercommit_domain::catalogue;
pub use aftercommit_platform_config as config;
pub use aftercommit_platform_telemetry as telemetry;
pub use aftercommit_runtime as runtime;
pub use application::Aftercommit;
pub use foreign_transaction::OutboxTransaction;
pub use idle::{Backlog, StillBusy};
pub use kit::{Kit, Operations};
pub use message_tree::{MessageTree, NodeKind, NodeState, TreeNode};
pub use opened::{Opened, Running};
pub use run_file::{RunFile, RunFileError};
pub use served::Served;
pub use startup::{StartupError, report};

#[cfg(feature = "amqp")]
pub use providers::amqp;
#[cfg(feature = "postgres")]
pub use providers::postgres;
#[cfg(feature = "sqlite")]
pub use providers::sqlite;

/// What most users need.
pub mod prelude {
    pub use crate::workflows::Workflows;
    pub use crate::{Aftercommit, Kit, catalogue};
    pub use aftercommit_domain::contract::{
        BoundedText, Cause, OrganizationId, Payload, ProjectId, Sealed, StorageKey, Tenant,
    };
    pub use aftercommit_domain::events::{
        DomainEvent, EventsPublisher, EventsPublisherExt, OutboxWriter, OutboxWriterExt, Routes, publish, signal,
        signal_with_start, start, start_external,
    };
    pub use aftercommit_domain::tasks::{
        Coalescing, Misfire, Outcome, Overlap, QueuePublisher, QueuePublisherExt, Retryable, Schedule, Stop, Task,
        TaskContext, TaskHandler, TaskKey, TaskOptions, TaskResult, WhenActive, completed, skipped,
    };
    pub use aftercommit_domain::time::{days, hours, minutes, seconds};
    pub use aftercommit_domain::unit_of_work::{UnitOfWork, UnitOfWorkFactory};
    pub use aftercommit_domain::workflows::{
        Activity, ActivityContext, ActivityError, ActivityOptions, Either, Exit, Workflow, WorkflowContext,
        WorkflowInput, WorkflowOutboxExt, WorkflowSignal,
    };
    pub use aftercommit_runtime::worker::Topic;
    pub use async_trait::async_trait;
}
