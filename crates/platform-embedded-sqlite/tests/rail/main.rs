//! What is SQLite's own: opening, crashes, transactions in turns, group commit, order, the write-ahead log.

#![expect(clippy::unwrap_used, reason = "tests")]

mod coalesced_groups;
mod crashes;
mod group_commit;
mod history;
mod lost_runs;
mod opening;
mod ordering;
mod rig;
mod transactions;
mod write_ahead_log;
