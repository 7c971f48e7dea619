//! The reference product's stores in memory, and the scenarios every store of it passes.

pub mod conformance;
mod harness;
mod identity_rows;
mod invitation_rows;
mod project_rows;
mod request_rows;
mod search_rows;
mod store;
mod tables;
mod usage_rows;

pub use harness::ReferenceHarness;
pub use store::MemoryReference;
