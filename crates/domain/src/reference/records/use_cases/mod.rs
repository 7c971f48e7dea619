//! What can be done with records.

mod ingest_records;
mod purge_records;

pub use ingest_records::{IncomingRecord, IngestRecords, RecordsIngestion, RejectedRecord, ingest_records};
pub use purge_records::purge_records;
