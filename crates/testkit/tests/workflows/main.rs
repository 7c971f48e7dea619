//! The workflow engine in memory, as an application's tests use it.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test are tests themselves: what cannot be unwrapped fails them"
)]

mod evicting;
mod order;
mod outbox;
mod trials;
