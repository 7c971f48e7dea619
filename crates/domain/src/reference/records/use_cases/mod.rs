//! What can be done with records.

mod fan_out_records;
mod ingest_records;
mod purge_records;
mod settle_record;

pub use fan_out_records::fan_out_records;
pub use ingest_records::{IncomingRecord, IngestRecords, RecordsIngestion, RejectedRecord, ingest_records};
pub use purge_records::purge_records;
pub use settle_record::settle_record;
