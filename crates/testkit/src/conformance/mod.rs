//! Conformance suites: one scenario for each sentence of the ports' contracts, the same for every provider.
//!
//! A provider implements [`Provider`] in its `tests/conformance.rs` and names each suite once:
//!
//! ```text
//! struct SqliteProvider { /* … */ }
//! impl aftercommit_testkit::conformance::Provider for SqliteProvider { /* … */ }
//!
//! aftercommit_testkit::outbox_conformance!(SqliteProvider);
//! aftercommit_testkit::unit_of_work_conformance!(SqliteProvider);
//! aftercommit_testkit::inbox_conformance!(SqliteProvider);
//! aftercommit_testkit::queue_conformance!(SqliteProvider);
//! aftercommit_testkit::coalescing_conformance!(SqliteProvider);
//! aftercommit_testkit::orders_conformance!(SqliteProvider);
//! aftercommit_testkit::event_log_conformance!(SqliteProvider);
//! aftercommit_testkit::dead_letters_conformance!(SqliteProvider);
//! aftercommit_testkit::bulk_runs_conformance!(SqliteProvider);
//! aftercommit_testkit::schedules_conformance!(SqliteProvider);
//! aftercommit_testkit::task_inspector_conformance!(SqliteProvider);
//! aftercommit_testkit::lineage_conformance!(SqliteProvider);
//! // Only where outbox and queue share a database and the provider offers it:
//! aftercommit_testkit::transfer_conformance!(SqliteProvider);
//! // Only where the provider keeps in a database what a broker's queue cannot:
//! aftercommit_testkit::held_tasks_conformance!(SqliteProvider);
//! aftercommit_testkit::task_history_conformance!(SqliteProvider);
//! // An object storage is a provider of its own kind, ObjectStorageProvider:
//! aftercommit_testkit::object_storage_conformance!(FileStorage);
//! ```
//!
//! A workflow engine implements [`workflows::WorkflowEnvironment`] and names its one suite, `workflows_conformance!`.
//!
//! Each macro makes a module with one `#[test]` for each scenario, so that none can be left out. [`SCENARIOS`] says how
//! many there are over all suites of stores, for a check that counts the tests that ran.
//!
//! A scenario gets a fresh, empty store. None sleeps: what must happen is waited for with a deadline that says what was
//! awaited, and what must not happen is looked for during a short while ([`support`] has the numbers).

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "a scenario is a test: it panics with what it found"
)]

pub mod bulk_runs;
pub mod coalescing;
pub mod dead_letters;
pub mod event_log;
pub mod held_tasks;
pub mod inbox;
pub mod lineage;
mod messages;
pub mod object_storage;
pub mod orders;
pub mod outbox;
mod provider;
pub mod queue;
pub mod schedules;
mod suite;
pub mod support;
pub mod task_history;
pub mod task_inspector;
pub mod transfer;
pub mod unit_of_work;
pub mod workflows;

pub use messages::Messages;
pub use object_storage::ObjectStorageProvider;
pub use provider::Provider;
#[doc(hidden)]
pub use suite::run;

/// How many scenarios all suites of a [`Provider`] have.
pub const SCENARIOS: usize = outbox::SCENARIOS
    + unit_of_work::SCENARIOS
    + inbox::SCENARIOS
    + queue::SCENARIOS
    + coalescing::SCENARIOS
    + orders::SCENARIOS
    + event_log::SCENARIOS
    + dead_letters::SCENARIOS
    + bulk_runs::SCENARIOS
    + schedules::SCENARIOS
    + task_inspector::SCENARIOS
    + lineage::SCENARIOS
    + transfer::SCENARIOS
    + held_tasks::SCENARIOS
    + task_history::SCENARIOS;
