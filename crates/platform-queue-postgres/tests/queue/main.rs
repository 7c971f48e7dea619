//! What only a server can show of its queue.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../rig/mod.rs"]
mod rig;

mod leases;
mod lost_connections;
mod lost_runs;
mod order;
mod plans;
mod steps;
mod texts;
mod watching;
