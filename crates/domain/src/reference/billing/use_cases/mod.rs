//! What can be done about billing.

mod decide_overage_report;
mod record_overage_report;

pub use decide_overage_report::decide_overage_report;
pub(in crate::reference) use decide_overage_report::pending_or_new_report;
pub use record_overage_report::record_overage_report;
