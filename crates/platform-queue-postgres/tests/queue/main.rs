//! What only a server can show of its queue.

#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::type_complexity,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "../rig/mod.rs"]
mod rig;

mod cancelled_calls;
mod coalescing;
mod hearing;
mod held;
mod leases;
mod lost_connections;
mod lost_runs;
mod no_connections;
mod order;
mod plans;
mod steps;
mod texts;
mod watching;
