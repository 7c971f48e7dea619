//! What can be done with usage.

mod list_usage;
mod record_usage;

pub use list_usage::list_usage;
pub use record_usage::record_usage;
