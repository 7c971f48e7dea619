//! The unit of work: one transaction in which state, events and tasks change together, or not at all.

use async_trait::async_trait;

use crate::contract::{Cause, Tenant};
use crate::events::OutboxWriter;
use crate::failure::{Classified, ErrorClass};
use crate::tasks::{Inbox, ScheduleWriter, TaskWindows};

/// One open transaction of one tenant.
///
/// **Contract**: nothing it did is seen by anyone unless it commits, and then all of it at once; `Ok` of `commit` means
/// durable. Dropping it rolls back. Right after a commit the relay of this process is woken.
#[async_trait]
pub trait UnitOfWork: Send {
    /// Writes what leaves with this transaction.
    fn outbox(&mut self) -> Box<dyn OutboxWriter + '_>;

    /// Remembers what this transaction has done: for handlers, before anything else.
    fn inbox(&mut self) -> Box<dyn Inbox + '_>;

    /// Makes, changes and removes schedules of its tenant with this transaction.
    fn schedules(&mut self) -> Box<dyn ScheduleWriter + '_>;
    /// What waits under coalescing keys, to be cancelled or moved with this transaction.
    fn windows(&mut self) -> Box<dyn TaskWindows + '_>;

    /// Whose it is.
    fn tenant(&self) -> &Tenant;

    /// Makes everything durable. Taken by value, so that a finished unit of work cannot be used again.
    async fn commit(self: Box<Self>) -> Result<(), CommitError>;
}

/// Begins units of work.
#[async_trait]
pub trait UnitOfWorkFactory: Send + Sync {
    /// Begins one for `tenant`, because of `cause`. Cancelling the call leaves no transaction open.
    async fn begin(&self, tenant: &Tenant, cause: &Cause) -> Result<Box<dyn UnitOfWork>, StoreError>;
}

/// A store could not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It is away or too slow.
    #[error("the store is unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What it said.
        reason: String,
    },
    /// It refused the statement.
    #[error("the store refused {operation}: {reason}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// What it said.
        reason: String,
    },
    /// Another transaction was in the way; the whole unit of work may be tried again.
    #[error("the store had a conflict ({operation}): {reason}")]
    Conflict {
        /// What was tried.
        operation: &'static str,
        /// What it said.
        reason: String,
    },
    /// A row that must be unique exists already.
    #[error("{what} exists already")]
    Duplicate {
        /// What.
        what: &'static str,
    },
    /// A row does not hold what it must.
    #[error("{what} is corrupt: {reason}")]
    Corrupt {
        /// What.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl Classified for StoreError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Outage,
            Self::Conflict { .. } => ErrorClass::Retryable,
            Self::Refused { .. } | Self::Duplicate { .. } | Self::Corrupt { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "store.unavailable",
            Self::Refused { .. } => "store.refused",
            Self::Conflict { .. } => "store.conflict",
            Self::Duplicate { .. } => "store.duplicate",
            Self::Corrupt { .. } => "store.corrupt",
        }
    }
}

/// A commit did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The store went away before it could; nothing was changed.
    #[error("rolled back: {reason}")]
    RolledBack {
        /// Why.
        reason: String,
    },
    /// Another transaction was in the way; nothing was changed, the whole unit of work may be tried again.
    #[error("rolled back by a conflict: {reason}")]
    Conflict {
        /// Why.
        reason: String,
    },
    /// What it did breaks a rule of the store; nothing was changed.
    #[error("the commit was refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// The reply was lost: everything was changed, or nothing.
    #[error("it is not known whether the commit happened: {reason}")]
    Unknown {
        /// What was seen.
        reason: String,
    },
}

/// For a store whose caller has nothing else to say about a commit. [`CommitError::Unknown`] becomes unavailable: what was
/// asked may have been done.
impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        let (operation, reason) = ("commit", error.to_string());
        match error {
            CommitError::RolledBack { .. } | CommitError::Unknown { .. } => Self::Unavailable { operation, reason },
            CommitError::Conflict { .. } => Self::Conflict { operation, reason },
            CommitError::Refused { .. } => Self::Refused { operation, reason },
        }
    }
}

impl Classified for CommitError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::RolledBack { .. } | Self::Unknown { .. } => ErrorClass::Outage,
            Self::Conflict { .. } => ErrorClass::Retryable,
            Self::Refused { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::RolledBack { .. } => "commit.rolled_back",
            Self::Conflict { .. } => "commit.conflict",
            Self::Refused { .. } => "commit.refused",
            Self::Unknown { .. } => "commit.unknown",
        }
    }
}
