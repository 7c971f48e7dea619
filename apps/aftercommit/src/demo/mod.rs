//! The demonstration: lifelike traffic against the reference product, and what became of it.

pub(crate) mod admin;
pub(crate) mod auditor;
pub(crate) mod call;
pub(crate) mod driver;
pub(crate) mod embedded;
pub(crate) mod followed;
pub(crate) mod ledger;
pub(crate) mod mailbox;
pub(crate) mod metering;
pub(crate) mod order;
pub(crate) mod progress;
pub(crate) mod summary;
pub(crate) mod tally;
pub(crate) mod target;
pub(crate) mod traffic;
pub(crate) mod verdict;
pub(crate) mod world;
