//! Every store port of Aftercommit on PostgreSQL: units of work, outbox, event log and dead letters.
//!
//! [`PostgresDatabase::open`] connects, brings the schema `aftercommit` to this version and offers the ports. The queue
//! is a crate of its own, on the same database or on a broker.

#[macro_use]
mod failpoint;

mod bell;
mod bulk_runs;
mod columns;
mod connect_error;
mod database;
mod dead_letters;
mod event_log;
#[cfg(feature = "failpoints")]
pub mod failpoints;
mod findings;
mod inbox;
mod loan;
pub mod migrations;
mod options;
mod outbox;
mod pooler;
mod pools;
#[cfg(feature = "reference")]
mod reference;
mod rest;
mod schedules;
mod statement;
mod transaction;
pub mod trouble;
mod unit_of_work;
mod wake;
mod windows;

pub use bell::{Bell, Ring, Told};
pub use bulk_runs::PostgresBulkRuns;
pub use connect_error::ConnectError;
pub use database::PostgresDatabase;
pub use dead_letters::{PostgresDeadLetters, ReplayInto};
pub use event_log::PostgresEventLog;
pub use findings::findings;
pub use inbox::{PostgresInbox, PostgresInboxMaintenance, create_inbox};
pub use loan::Loan;
pub use options::{PostgresOptions, PostgresServices, RecordSuccesses};
pub use outbox::{PostgresOutbox, PostgresOutboxWriter, create_outbox_writer};
pub use pooler::in_one_transaction;
pub use pools::Pools;
#[cfg(feature = "reference")]
pub use reference::PostgresReference;
pub use rest::{rest_after, walks_pause};
pub use schedules::PostgresSchedules;
/// The version of sqlx that transactions and pools here are of.
pub use sqlx;
pub use statement::Statements;
pub use transaction::PostgresTransaction;
pub use unit_of_work::{PostgresUnitOfWork, PostgresUnitOfWorkFactory};
pub use wake::Wake;
pub use windows::{PostgresTaskWindows, create_task_windows};
