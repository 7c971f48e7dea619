//! What only a server can show: sentences of the stores that hold on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bells;
mod cancelled_begins;
mod cancelled_calls;
mod contention;
mod days;
mod half_open_links;
mod handing_over;
mod inbox;
mod pgbouncer;
mod processes;
mod refusals;
mod relays;
#[path = "../rig/mod.rs"]
mod rig;
mod schedules;
mod transactions;
mod write_event;
