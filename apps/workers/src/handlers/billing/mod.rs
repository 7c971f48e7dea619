//! The topic `billing`.

mod report_overage;
mod start_overage_report;

pub(crate) use report_overage::ReportOverageHandler;
pub(crate) use start_overage_report::StartOverageReportHandler;
