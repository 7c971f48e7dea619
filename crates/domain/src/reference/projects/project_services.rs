//! What a project uses outside the product.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::Tenant;
use crate::effects::IdempotencyKey;
use crate::failure::{Classified, ErrorClass};

/// Opens and closes what projects use outside the product.
///
/// **Contract**: `Ok` of [`open`](Self::open) means that the project can use the service, `Ok` of [`close`](Self::close) that
/// nothing of it is left, also when it was never opened. Each may be called again, with the same key, after any error and after
/// it succeeded; that changes nothing.
///
/// # Errors
/// [`ProjectServiceError`]; it may have been done all the same.
#[async_trait]
pub trait ProjectServices: Send + Sync {
    /// Opens a service for the project.
    async fn open(
        &self,
        project: &Tenant,
        service: ProjectService,
        key: &IdempotencyKey,
    ) -> Result<(), ProjectServiceError>;

    /// Closes it.
    async fn close(
        &self,
        project: &Tenant,
        service: ProjectService,
        key: &IdempotencyKey,
    ) -> Result<(), ProjectServiceError>;
}

/// What a project uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectService {
    /// Where its files are.
    Storage,
    /// Where its records are found.
    Search,
    /// Where its usage is charged.
    Metering,
}

/// A service could not be opened or closed, or it is not known whether it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectServiceError {
    /// It is away, too slow, or refuses for now.
    #[error("the service is unavailable: {reason}")]
    Unavailable {
        /// What was seen.
        reason: String,
    },
    /// It refuses for good.
    #[error("the service refused: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
}

impl Classified for ProjectServiceError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Retryable,
            Self::Refused { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "project_service.unavailable",
            Self::Refused { .. } => "project_service.refused",
        }
    }
}
