//! The topic `records`.

mod purge_by_project;

pub(crate) use purge_by_project::PurgeRecordsHandler;
