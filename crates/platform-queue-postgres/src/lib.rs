//! The queue of Aftercommit on PostgreSQL: topics of tasks in a table.
//!
//! A claim, a batch of new tasks and a batch of settled ones are one round trip each: functions of the database do the
//! rest. What a process publishes or settles at the same time goes into one transaction, so that one flush of the disk
//! serves many. A process renews all its leases with one statement, and looks for work it was not told of with one, too.

#![warn(missing_docs)]

#[macro_use]
mod failpoint;

mod cancellations;
mod columns;
#[cfg(feature = "failpoints")]
pub mod failpoints;
mod hearing;
mod held_tasks;
mod history;
mod leases;
mod lineage;
mod options;
mod pauses;
mod queue;
mod statement;
mod suspects;
mod task_inspector;
mod topics;
mod watch;

pub use options::PostgresQueueOptions;
pub use queue::PostgresQueue;
