//! Every store port and the queue of Aftercommit on one embedded SQLite file.
//!
//! [`SqliteDatabase::open`] is the way in. Three things carry the guarantees:
//!
//! - **One writer.** One connection writes, always in `BEGIN IMMEDIATE`. The engine's own writes go through an actor
//!   that commits everything waiting in one transaction; an `Ok` is answered after that commit and never before.
//! - **One process.** A lock file keeps a second process out. So who has claimed what, and until when, is memory of this
//!   process; a claim is a read, and after a kill nothing has to expire before work goes on.
//! - **A run sheet.** A small file beside the database names the tasks being run. After a kill it tells which runs were
//!   lost, so a task that takes its process down is found, and its neighbours are not blamed.

#![warn(missing_docs)]

#[macro_use]
mod failpoint;

mod bulk_runs;
mod cancellations;
mod claims;
mod columns;
mod connection;
mod database;
mod dead_letters;
mod event_log;
#[cfg(feature = "failpoints")]
pub mod failpoints;
mod filesystem;
mod inbox;
mod interrupt;
mod lineage;
mod lock_file;
mod migrations;
mod open_error;
mod options;
mod outbox;
mod pauses;
mod queue;
#[cfg(feature = "reference")]
mod reference;
mod run_sheet;
mod schedules;
mod task_inspector;
mod transaction;
mod unit_of_work;
mod wake;
mod windows;
mod writer;

pub use bulk_runs::SqliteBulkRuns;
pub use database::SqliteDatabase;
pub use dead_letters::SqliteDeadLetters;
pub use event_log::SqliteEventLog;
pub use inbox::{SqliteInbox, SqliteInboxMaintenance, create_inbox};
pub use open_error::OpenError;
pub use options::{RecordSuccesses, SqliteOptions, SqliteServices, Synchronous};
pub use outbox::{SqliteOutbox, SqliteOutboxWriter, create_outbox_writer};
pub use queue::SqliteQueue;
#[cfg(feature = "reference")]
pub use reference::SqliteReference;
pub use schedules::SqliteSchedules;
pub use transaction::SqliteTransaction;
pub use unit_of_work::{SqliteUnitOfWork, SqliteUnitOfWorkFactory};
pub use windows::{SqliteTaskWindows, create_task_windows};
