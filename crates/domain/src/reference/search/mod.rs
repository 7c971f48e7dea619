//! Search: what the records of a project say, kept for looking up.

mod search_index_repository;
mod search_text;
mod tasks;
pub mod use_cases;

pub use search_index_repository::SearchIndexRepository;
pub use search_text::SearchText;
pub use tasks::{PurgeSearchIndex, RefreshSearchIndex};
