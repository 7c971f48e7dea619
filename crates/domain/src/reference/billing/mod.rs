//! Billing: what a project used beyond what is included is reported to whoever charges for it.

mod billing_ledger;
mod billing_provider;
mod overage_report;
mod overage_report_repository;
mod tasks;
pub mod use_cases;

pub use billing_ledger::{BillingLedger, BillingLedgerEntry};
pub use billing_provider::{BillingError, BillingProvider, MeteredUsage};
pub use overage_report::OverageReport;
pub use overage_report_repository::OverageReportRepository;
pub use tasks::ReportOverage;
