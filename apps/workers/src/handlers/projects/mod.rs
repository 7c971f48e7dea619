//! The topic `projects`.

mod check_first_record;
mod provision;

pub(crate) use check_first_record::CheckFirstRecordHandler;
pub(crate) use provision::ProvisionProjectHandler;
