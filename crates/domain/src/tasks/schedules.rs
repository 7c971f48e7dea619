//! Where schedules are kept: the port of whoever keeps them, and the writer of a transaction.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::contract::{LimitExceeded, OrganizationId, Tenant, TenantMismatch};
use crate::failure::{Classified, ErrorClass};
use crate::tasks::{KeptSchedule, Schedule, ScheduleId, Tick, TickPlan};
use crate::time::{self, Timestamp};

/// How long a schedule that an application's code declares is kept after the last process that declares it has said so.
pub const DECLARATION_GRACE: Duration = time::minutes(1);

/// How long records of ticks are kept: 90 days.
pub const TICKS_RETENTION: Duration = time::days(90);

/// Keeps schedules and carries out what becomes of their slots.
///
/// **Contract**: `Ok` means durable. Whatever number of processes tick, each slot is decided about once: a [`TickPlan`] is
/// carried out in one transaction that checks that the schedule and its slot are still what they were, records every slot,
/// writes the task into the outbox and moves the schedule on, or changes nothing. Times are the store's: where it is shared
/// by processes, those of its own clock. Called concurrently.
#[async_trait]
pub trait Schedules: Send + Sync {
    /// Brings the declared schedules to what the calling process declares. To be called at start and again well within
    /// `grace`.
    ///
    /// One that is new is added, and one that this process declares otherwise is changed. But while another process has said
    /// within `grace` that it declares one, or declares it otherwise, it stays so: two builds side by side during a deploy do
    /// not fight, and the newer one has its way `grace` after the older one is gone. One that nobody declares any more is
    /// removed then. Without a `grace` this process alone decides. Those made at run time stay as they are, also when one of
    /// the same key is declared.
    async fn reconcile(&self, declared: &[Schedule], grace: Duration) -> Result<Reconciled, SchedulesError>;

    /// Keeps a schedule made at run time, or changes the one of its key to it, wherever it comes from. Its next slot is the
    /// first after now; when its times are what they were, it goes on where it was. Slots of its former times that are due
    /// are recorded as missed.
    async fn put(&self, schedule: &Schedule) -> Result<(), SchedulesError>;

    /// Removes a schedule; the records of its ticks stay. `false` when there is none.
    async fn remove(&self, id: &ScheduleId) -> Result<bool, SchedulesError>;

    /// Schedules by tenant and key.
    async fn list(&self, filter: &ScheduleFilter) -> Result<Vec<KeptSchedule>, SchedulesError>;

    /// One schedule. `Ok(None)` when there is none.
    async fn find(&self, id: &ScheduleId) -> Result<Option<KeptSchedule>, SchedulesError>;

    /// Schedules with a slot that is due, longest due first: at most `limit`.
    async fn due(&self, limit: u32) -> Result<DueSchedules, SchedulesError>;

    /// Carries out what becomes of slots. `Ok(None)` when the schedule or its slot is no longer what was planned for, or somebody
    /// else is about to change it; then nothing is changed. Waits for nobody. Answers what was recorded.
    async fn tick(&self, plan: TickPlan) -> Result<Option<Vec<Tick>>, SchedulesError>;

    /// Publishes the task of a schedule at once, whether it is paused or not, and records who ordered it. Its slot is now. When
    /// overlapping is not allowed and the last task is not over, it is skipped, which is recorded. `Ok(None)` when there is no
    /// such schedule.
    async fn run_now(&self, id: &ScheduleId, by: &str) -> Result<Option<Tick>, SchedulesError>;

    /// From now on the schedule does not fire; its slots are recorded as skipped. Holds until it is resumed, or for so long.
    /// Whoever pauses one that is paused replaces the reason and the end. `false` when there is no such schedule.
    async fn pause(&self, id: &ScheduleId, pause: SchedulePauseOrder) -> Result<bool, SchedulesError>;

    /// Ends a pause: from now on it fires. Slots until now stay skipped. `false` when there is no such schedule or no pause.
    async fn resume(&self, id: &ScheduleId, by: &str) -> Result<bool, SchedulesError>;

    /// What became of slots, newest first: at most `limit`, 50 when nothing is said, never more than 1000. Also of a schedule
    /// that was removed.
    async fn history(&self, id: &ScheduleId, limit: Option<u32>) -> Result<Vec<Tick>, SchedulesError>;

    /// Forgets up to `limit` records of what was decided before `before`. Answers how many.
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, SchedulesError>;
}

/// Changes schedules in an open transaction.
///
/// **Contract**: nothing is changed unless the transaction commits. Refuses schedules that are not the transaction's tenant's
/// own; the system may change anyone's, and an organization those of its projects.
#[async_trait]
pub trait ScheduleWriter: Send {
    /// As [`Schedules::put`].
    async fn put(&mut self, schedule: &Schedule) -> Result<(), SchedulesError>;

    /// As [`Schedules::remove`].
    async fn remove(&mut self, id: &ScheduleId) -> Result<bool, SchedulesError>;
}

/// Which schedules to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleFilter {
    /// Only of this organization and its projects.
    pub organization_id: Option<OrganizationId>,
    /// At most so many: 50 when nothing is said, never more than 1000.
    pub limit: Option<u32>,
}

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueSchedules {
    /// The store's clock.
    pub now: Timestamp,
    /// Those with a slot that is due.
    pub schedules: Vec<KeptSchedule>,
    /// The next slot that is not due yet.
    pub next: Option<Timestamp>,
}

/// An order to pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulePauseOrder {
    /// Who orders it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: PauseEnd,
}

/// When a pause ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseEnd {
    /// It does not.
    Never,
    /// So long after now, by the store's clock.
    After(Duration),
    /// At this time.
    At(Timestamp),
}

impl PauseEnd {
    /// When that is, given the store's clock.
    pub fn time(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::After(duration) => Some(time::after(now, duration)),
            Self::At(time) => Some(time),
        }
    }
}

/// What a reconciliation came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Declared here and new.
    pub added: Vec<ScheduleId>,
    /// Declared here, and otherwise before.
    pub changed: Vec<ScheduleId>,
    /// Declared nowhere any more.
    pub removed: Vec<ScheduleId>,
    /// Declared here, but otherwise by a process that runs still, or made at run time: they stay so.
    pub differing: Vec<ScheduleId>,
}

/// What becomes of a schedule in a reconciliation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconciliation {
    /// It is what this process declares: that is noted.
    Renew,
    /// It becomes what this process declares.
    Change,
    /// It is removed.
    Remove,
    /// It stays.
    Leave,
    /// It stays, though it is declared otherwise.
    Differ,
}

impl Reconciliation {
    /// What becomes of `kept`, which some process declared the last time at `declared_at`; `None` for one made at run time.
    pub fn of(
        kept: &KeptSchedule,
        declared_at: Option<Timestamp>,
        declared: Option<&Schedule>,
        now: Timestamp,
        grace: Duration,
    ) -> Self {
        let is_left = declared_at.is_some_and(|at| at <= time::before(now, grace));
        match (declared_at, declared) {
            (None, Some(_)) => Self::Differ,
            (None, None) => Self::Leave,
            (Some(_), Some(declared)) if kept.schedule == *declared => Self::Renew,
            (Some(_), Some(_)) if is_left => Self::Change,
            (Some(_), Some(_)) => Self::Differ,
            (Some(_), None) if is_left => Self::Remove,
            (Some(_), None) => Self::Leave,
        }
    }
}

impl ScheduleId {
    /// Refuses a schedule that is not the own one of a transaction of `tenant`.
    ///
    /// # Errors
    /// [`TenantMismatch`].
    pub fn check_owner(&self, tenant: &Tenant) -> Result<(), TenantMismatch> {
        let is_own = match (tenant, &self.tenant) {
            (Tenant::System, _) => true,
            (Tenant::Organization { organization }, other) => other.organization_id() == Some(organization),
            (Tenant::Project { .. }, other) => tenant == other,
        };
        if is_own {
            return Ok(());
        }
        Err(TenantMismatch {
            what: format!("schedule {}", self.key),
            got: self.tenant.clone(),
            expected: tenant.clone(),
        })
    }
}

/// Schedules could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SchedulesError {
    /// The store is away or too slow.
    #[error("the schedules are unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
    /// The store refused it.
    #[error("the store refused {operation}: {reason}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
    /// Another transaction was in the way; the whole may be tried again.
    #[error("the schedules had a conflict ({operation}): {reason}")]
    Conflict {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
    /// A schedule of another tenant than the transaction's.
    #[error(transparent)]
    Tenant(#[from] TenantMismatch),
    /// Its task is over a limit.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}

impl Classified for SchedulesError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Outage,
            Self::Conflict { .. } => ErrorClass::Retryable,
            Self::Refused { .. } | Self::Tenant(_) | Self::Limit(_) => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "schedules.unavailable",
            Self::Refused { .. } => "schedules.refused",
            Self::Conflict { .. } => "schedules.conflict",
            Self::Tenant(_) => "tenant.mismatch",
            Self::Limit(limit) => limit.code(),
        }
    }
}

fn _dyn_compatible(_: Arc<dyn Schedules>, _: Box<dyn ScheduleWriter>) {}
