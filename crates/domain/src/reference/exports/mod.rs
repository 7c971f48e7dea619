//! Exports: what a project holds, as a file to download.

mod events;
mod export;
mod export_repository;
mod tasks;
pub mod use_cases;
mod workflow;

pub use events::{ExportCancelled, ExportCompleted, ExportFailed};
pub use export::{Export, ExportColumns, ExportKind, ExportState, MAX_EXPORT_REASON};
pub use export_repository::ExportRepository;
pub use tasks::{EXPORT_SETTLED_AFTER, PurgeExports, SweepExport};
pub use workflow::RunExport;
