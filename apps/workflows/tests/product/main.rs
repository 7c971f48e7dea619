//! The reference product as it is run in production: its programs apart, on PostgreSQL, RabbitMQ and Temporal.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failing test is what a panic is for")]

mod account;
mod accounts;
mod exports;
mod installation;
