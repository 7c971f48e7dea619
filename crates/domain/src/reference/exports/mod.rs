//! Exports: what a project holds, as a file to download.

mod export;
mod export_repository;
pub mod use_cases;
mod workflow;

pub use export::{Export, ExportColumns, ExportKind, ExportState, MAX_EXPORT_REASON};
pub use export_repository::ExportRepository;
pub use workflow::RunExport;
