//! What can be done with exports, one file each.

mod advance_export;
mod cancel_export;
mod purge_exports;
mod request_export;
mod show_export;
mod sweep_export;

pub use advance_export::advance_export;
pub use cancel_export::cancel_export;
pub use purge_exports::{PurgedExports, purge_exports};
pub use request_export::{ExportRequest, RequestExport, request_export};
pub use show_export::show_export;
pub use sweep_export::{ExportFileError, sweep_export};
