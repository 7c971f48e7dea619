//! What is true of the adapter beside what every engine is held to, against a real server.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

mod environment;
mod histories;
mod long_runs;
mod metrics;
mod problems;
mod reaching_the_server;
mod restarts;
mod signals;
mod starts;
mod tls;
mod workflows;
