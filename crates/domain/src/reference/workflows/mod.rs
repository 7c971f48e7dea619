//! The workflows of the product: what takes several steps, or a long time, and must come to its end or be taken back.
//!
//! Each is a file with its input, its code and its activities. They are started by use cases, in the transaction that makes
//! them necessary; [`reference_workflows`] is what an engine is given.

mod billing_overage;
mod compensation;
mod export;
mod export_activities;
mod export_cursor;
mod ports;
mod project_provisioning;
mod registry;
mod start;
mod user_deletion;

pub use billing_overage::{BillingOverage, ReportingOverage};
pub use export::{CancelExport, EXPORT_PROGRESS, ExportProgress, Exporting};
pub use export_activities::ExportFile;
pub use ports::{EXPORT_PART_BYTES, WorkflowPorts};
pub use project_provisioning::{ProjectProvisioning, ProvisioningProject};
pub use registry::reference_workflows;
pub use start::{start_overage_report, start_project_provisioning};
pub use user_deletion::{DeletedUser, DeletingUser, KeepUser, UserDeletion};
