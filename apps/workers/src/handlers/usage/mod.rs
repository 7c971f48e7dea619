//! The topic `usage`.

mod record_batch;

pub(crate) use record_batch::RecordUsageHandler;
