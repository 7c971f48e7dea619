//! What an application on the facade, and its operators, may rely on.
#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod application;
mod bulk_runs;
mod dead_letters;
#[cfg(feature = "object-storage")]
mod doctor;
mod events;
mod fuzz;
mod idle;
mod place;
mod probes;
mod rails;
mod roles;
mod routes;
mod schedules;
mod start;
mod tasks;
mod trees;
mod workflows;
