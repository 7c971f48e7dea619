//! Whoever charges for what was used.

use async_trait::async_trait;
use chrono::NaiveDate;

use crate::contract::{OrganizationId, ProjectId};
use crate::effects::IdempotencyKey;
use crate::failure::{Classified, ErrorClass};

/// Charges for what was used.
///
/// **Contract**: `Ok` means that it is taken down. Two reports with one key are one; whoever reports takes care that they say
/// the same. Called again after any error, with the same key.
///
/// # Errors
/// [`BillingError`]; it may have been taken down all the same.
#[async_trait]
pub trait BillingProvider: Send + Sync {
    /// Reports usage.
    async fn report(&self, usage: &MeteredUsage, key: &IdempotencyKey) -> Result<(), BillingError>;
}

/// What is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeteredUsage {
    /// Who pays.
    pub organization_id: OrganizationId,
    /// For which project.
    pub project_id: ProjectId,
    /// For which month: its first day, in UTC.
    pub month: NaiveDate,
    /// How many records more than were reported before.
    pub records: u64,
}

/// Usage could not be reported, or it is not known whether it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BillingError {
    /// The provider is away, too slow, or refuses for now.
    #[error("the billing provider is unavailable: {reason}")]
    Unavailable {
        /// What was seen.
        reason: String,
    },
    /// The provider refuses the report for good.
    #[error("the billing provider refused the report: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
}

impl Classified for BillingError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Retryable,
            Self::Refused { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "billing.unavailable",
            Self::Refused { .. } => "billing.refused",
        }
    }
}
