//! Faults of schedules: of declaring them, of looking what is due, of ticking.

use std::time::Duration;

use aftercommit_domain::tasks::{
    DueSchedules, KeptSchedule, Reconciled, Schedule, ScheduleFilter, ScheduleId, SchedulePauseOrder, Schedules,
    SchedulesError, Tick, TickPlan,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use super::{Faulty, Operation, REASON};

#[async_trait]
impl<P: Schedules> Schedules for Faulty<P> {
    async fn reconcile(&self, declared: &[Schedule], grace: Duration) -> Result<Reconciled, SchedulesError> {
        let reconcile = self.inner.reconcile(declared, grace);
        let away = away("reconcile");
        self.script.around(Operation::Reconcile, reconcile, away).await
    }

    async fn put(&self, schedule: &Schedule) -> Result<(), SchedulesError> {
        self.inner.put(schedule).await
    }

    async fn remove(&self, id: &ScheduleId) -> Result<bool, SchedulesError> {
        self.inner.remove(id).await
    }

    async fn list(&self, filter: &ScheduleFilter) -> Result<Vec<KeptSchedule>, SchedulesError> {
        self.inner.list(filter).await
    }

    async fn find(&self, id: &ScheduleId) -> Result<Option<KeptSchedule>, SchedulesError> {
        self.inner.find(id).await
    }

    async fn due(&self, limit: u32) -> Result<DueSchedules, SchedulesError> {
        let due = self.inner.due(limit);
        self.script.around(Operation::DueSchedules, due, away("due")).await
    }

    async fn tick(&self, plan: TickPlan) -> Result<Option<Vec<Tick>>, SchedulesError> {
        let tick = self.inner.tick(plan);
        self.script.around(Operation::Tick, tick, away("tick")).await
    }

    async fn run_now(&self, id: &ScheduleId, by: &str) -> Result<Option<Tick>, SchedulesError> {
        self.inner.run_now(id, by).await
    }

    async fn pause(&self, id: &ScheduleId, pause: SchedulePauseOrder) -> Result<bool, SchedulesError> {
        self.inner.pause(id, pause).await
    }

    async fn resume(&self, id: &ScheduleId, by: &str) -> Result<bool, SchedulesError> {
        self.inner.resume(id, by).await
    }

    async fn history(&self, id: &ScheduleId, limit: Option<u32>) -> Result<Vec<Tick>, SchedulesError> {
        self.inner.history(id, limit).await
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, SchedulesError> {
        self.inner.prune(before, limit).await
    }
}

const fn away(operation: &'static str) -> impl Fn() -> SchedulesError {
    move || SchedulesError::Unavailable {
        operation,
        reason: REASON.into(),
    }
}
