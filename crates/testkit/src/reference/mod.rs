//! The reference product's stores in memory, and the scenarios every store of it passes.

mod billing_provider;
mod billing_rows;
pub mod conformance;
mod digest_rows;
mod export_rows;
mod harness;
mod identity_rows;
mod incident_rows;
mod invitation_rows;
mod notification_rows;
mod project_rows;
mod project_services;
mod request_rows;
mod search_rows;
mod store;
mod tables;
mod usage_rows;
mod webhook_rows;

pub use billing_provider::{RecordingBillingProvider, ReportStep};
pub use harness::ReferenceHarness;
pub use project_services::{RecordingProjectServices, ServiceCall, ServiceStep};
pub use store::MemoryReference;
