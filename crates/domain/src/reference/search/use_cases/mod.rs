//! What can be done with the search index.

mod purge_search_index;
mod refresh_search_index;
mod search_records;

pub use purge_search_index::purge_search_index;
pub use refresh_search_index::refresh_search_index;
pub use search_records::{FoundRecords, search_records};
