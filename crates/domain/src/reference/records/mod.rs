//! Records: what a project takes in, in batches.

mod events;
mod record;
mod record_repository;
mod tasks;
pub mod use_cases;

pub use events::RecordsIngested;
pub use record::{NewRecord, RecordBody, RecordKey};
pub use record_repository::RecordRepository;
pub use tasks::PurgeRecords;
