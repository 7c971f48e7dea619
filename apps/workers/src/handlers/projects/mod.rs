//! The topic `projects`.

mod check_first_record;
mod provision;
mod start_provisioning;

pub(crate) use check_first_record::CheckFirstRecordHandler;
pub(crate) use provision::ProvisionProjectHandler;
pub(crate) use start_provisioning::StartProvisioningHandler;
