//! Records: what a project takes in, in batches.

mod events;
mod record;
mod record_repository;
mod tasks;
pub mod use_cases;

pub use events::{RecordSettled, RecordsIngested};
pub use record::{NewRecord, Record, RecordBody, RecordKey};
pub use record_repository::RecordRepository;
pub use tasks::{FanOutRecords, PurgeRecords, SettleRecord};
