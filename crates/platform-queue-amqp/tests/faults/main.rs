//! What goes wrong with a broker, and what the queue on it makes of that. Fault by fault, with a real broker.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "../rig/mod.rs"]
mod rig;

mod alarms;
mod certificates;
mod consuming;
mod delays;
mod links;
mod ordered;
mod permissions;
mod publishing;
mod refused;
mod secrets;
mod strange;
mod support;
mod tls;
mod topology;
