//! Usage: what a project is charged for, month by month.

mod events;
mod tasks;
mod usage_period;
mod usage_repository;
pub mod use_cases;

pub use events::UsagePeriodUpdated;
pub use tasks::RecordUsage;
pub use usage_period::{UsagePeriod, month_of};
pub use usage_repository::UsageRepository;
