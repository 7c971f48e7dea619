//! Where bulk runs are kept, so that they outlive whoever drives them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::bulk::BulkRun;
use crate::failure::{Classified, ErrorClass};
use crate::ids::MessageId;
use crate::time::{Timestamp, hours};

/// Whoever orders the same again within this time after the last step goes on with the run that is not over.
pub const BEGIN_AGAIN_WITHIN: Duration = hours(1);

/// Keeps bulk runs.
///
/// **Contract**: `Ok` means durable. `begin` keeps a new run, or answers the one that it goes on with: of two who order the
/// same at once, one begins it. `take` hands a run to one caller at a time, with a token that `put_back` must carry; a lost
/// caller's lease runs out by itself, and its token changes nothing from then on. Called concurrently.
#[async_trait]
pub trait BulkRuns: Send + Sync {
    /// Begins `run`, unless one goes on: the run of its id, or an unfinished one of the same request that was stepped
    /// within [`BEGIN_AGAIN_WITHIN`]. A new one begins now, by the store's clock.
    async fn begin(&self, run: BulkRun) -> Result<BegunBulkRun, BulkRunsError>;

    /// One run. `Ok(None)` when there is none.
    async fn find(&self, id: MessageId) -> Result<Option<BulkRun>, BulkRunsError>;

    /// The newest runs, newest first: at most `limit`, 50 when nothing is said, never more than 1000.
    async fn list(&self, limit: Option<u32>) -> Result<Vec<BulkRun>, BulkRunsError>;

    /// Takes a run for one step. `Ok(None)` when there is none, it is over, or somebody else has it.
    async fn take(&self, id: MessageId, lease: Duration) -> Result<Option<TakenBulkRun>, BulkRunsError>;

    /// Writes how far it is and gives it back. `false` when the lease was lost; then nothing is written.
    async fn put_back(&self, taken: TakenBulkRun) -> Result<bool, BulkRunsError>;

    /// Forgets up to `limit` runs that were stepped before `before` the last time. Answers how many.
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, BulkRunsError>;
}

/// What `begin` came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunBulkRun {
    /// The run.
    pub run: BulkRun,
    /// Whether it is one that had begun before.
    pub goes_on: bool,
}

/// A run that was taken for one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBulkRun {
    /// The run.
    pub run: BulkRun,
    /// Proves who has it.
    pub token: i64,
    /// The store's clock.
    pub now: Timestamp,
}

/// Bulk runs could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BulkRunsError {
    /// The store is away or too slow.
    #[error("the bulk runs are unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
    /// The id is that of another order.
    #[error("{id} is the id of another order; leave it out, or repeat what was ordered under it")]
    OtherRequest {
        /// The id.
        id: MessageId,
    },
}

impl Classified for BulkRunsError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Outage,
            Self::OtherRequest { .. } => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "bulk_runs.unavailable",
            Self::OtherRequest { .. } => "bulk_run.other_request",
        }
    }
}

fn _dyn_compatible(_: Arc<dyn BulkRuns>) {}
