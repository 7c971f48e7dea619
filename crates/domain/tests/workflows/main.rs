//! What the port decides for every engine: numbers of steps, races, cancellation, and when a run is stuck.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod envelopes;
mod host;
mod requests;
mod steps;
mod stuck;
#[path = "../support/test_sealer.rs"]
mod test_sealer;
