//! The topic `billing`.

mod report_overage;

pub(crate) use report_overage::ReportOverageHandler;
