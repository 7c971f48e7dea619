//! The workflows of the reference product keep their promises, and stand whatever goes wrong wherever.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test are tests themselves: what cannot be unwrapped fails them"
)]

mod billing_overage;
mod export;
mod export_writers;
mod golden;
mod patched;
mod project_provisioning;
mod user_deletion;
mod world;
