//! Schedules and what became of their slots.

use std::collections::HashMap;
use std::time::Duration;

use aftercommit_domain::contract::{OrganizationId, ProjectId, Tenant};
use aftercommit_domain::events::{OutboxError, OutboxMessage};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    DueSchedules, KeptSchedule, Overlap, Reconciled, Reconciliation, Schedule, ScheduleFilter, ScheduleId,
    ScheduleOrigin, SchedulePause, SchedulePauseOrder, ScheduleWriter, Schedules, SchedulesError, Tick, TickPlan,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use super::outbox::NewRow;
use super::{InMemory, State, list_limit};

/// The schedules, and the records of their ticks, oldest first.
#[derive(Default)]
pub(super) struct Rows {
    kept: HashMap<ScheduleId, Row>,
    ticks: Vec<(ScheduleId, Tick)>,
}

struct Row {
    kept: KeptSchedule,
    /// When a process said the last time that it declares it.
    declared_at: Option<Timestamp>,
}

/// What a transaction changes.
pub(super) enum Change {
    Put(Box<Schedule>),
    Remove(ScheduleId),
}

impl Rows {
    pub(super) fn apply(&mut self, change: Change, now: Timestamp) {
        match change {
            Change::Put(schedule) => self.put(&schedule, ScheduleOrigin::MadeAtRunTime, now),
            Change::Remove(id) => drop(self.kept.remove(&id)),
        }
    }

    fn put(&mut self, schedule: &Schedule, origin: ScheduleOrigin, now: Timestamp) {
        let (kept, missed) = match self.kept.get(&schedule.id) {
            Some(row) => row.kept.changed_to(schedule, origin, now),
            None => (KeptSchedule::new(schedule.clone(), origin, now), None),
        };
        let declared_at = (origin == ScheduleOrigin::Declared).then_some(now);
        self.ticks.extend(missed.map(|tick| (schedule.id.clone(), tick)));
        self.kept.insert(schedule.id.clone(), Row { kept, declared_at });
    }

    /// In the order of tenants and keys.
    fn ordered(&self) -> Vec<&KeptSchedule> {
        let mut kept: Vec<&KeptSchedule> = self.kept.values().map(|row| &row.kept).collect();
        kept.sort_by_key(|kept| order_of(&kept.schedule.id));
        kept
    }

    fn record(&mut self, id: &ScheduleId, ticks: &[Tick]) {
        self.ticks.extend(ticks.iter().map(|tick| (id.clone(), tick.clone())));
    }
}

fn order_of(id: &ScheduleId) -> (String, String, String) {
    let organization = id.tenant.organization_id().map_or("", OrganizationId::as_str);
    let project = id.tenant.project_id().map_or("", ProjectId::as_str);
    (organization.into(), project.into(), id.key.as_str().into())
}

impl State {
    /// Whether a task is not over.
    fn is_active(&self, task: Option<MessageId>) -> bool {
        task.is_some_and(|id| self.outbox.has_waiting(id) || self.tasks.contains(id))
    }
}

/// Changes schedules when its transaction commits.
pub(super) struct MemoryScheduleWriter<'t> {
    pub(super) provider: &'t InMemory,
    pub(super) tenant: &'t Tenant,
    pub(super) changes: &'t mut Vec<Change>,
}

#[async_trait]
impl ScheduleWriter for MemoryScheduleWriter<'_> {
    async fn put(&mut self, schedule: &Schedule) -> Result<(), SchedulesError> {
        schedule.id.check_owner(self.tenant)?;
        self.changes.push(Change::Put(Box::new(schedule.clone())));
        Ok(())
    }

    async fn remove(&mut self, id: &ScheduleId) -> Result<bool, SchedulesError> {
        id.check_owner(self.tenant)?;
        let newest = self.changes.iter().rev().find_map(|change| match change {
            Change::Put(schedule) if schedule.id == *id => Some(true),
            Change::Remove(removed) if removed == id => Some(false),
            Change::Put(_) | Change::Remove(_) => None,
        });
        let is_there = newest.unwrap_or_else(|| self.provider.lock().schedules.kept.contains_key(id));
        self.changes.push(Change::Remove(id.clone()));
        Ok(is_there)
    }
}

#[async_trait]
impl Schedules for InMemory {
    async fn reconcile(&self, declared: &[Schedule], grace: Duration) -> Result<Reconciled, SchedulesError> {
        let now = self.now();
        let rows = &mut self.lock().schedules;
        let mut reconciled = Reconciled::default();
        let known: Vec<ScheduleId> = rows.ordered().iter().map(|kept| kept.schedule.id.clone()).collect();
        for id in known {
            let Some(row) = rows.kept.get_mut(&id) else { continue };
            let here = declared.iter().find(|schedule| schedule.id == id);
            match Reconciliation::of(&row.kept, row.declared_at, here, now, grace) {
                Reconciliation::Renew => row.declared_at = Some(now),
                Reconciliation::Change => {
                    if let Some(schedule) = here {
                        rows.put(schedule, ScheduleOrigin::Declared, now);
                    }
                    reconciled.changed.push(id);
                }
                Reconciliation::Remove => {
                    rows.kept.remove(&id);
                    reconciled.removed.push(id);
                }
                Reconciliation::Leave => {}
                Reconciliation::Differ => reconciled.differing.push(id),
            }
        }
        for schedule in declared {
            if !rows.kept.contains_key(&schedule.id) {
                rows.put(schedule, ScheduleOrigin::Declared, now);
                reconciled.added.push(schedule.id.clone());
            }
        }
        Ok(reconciled)
    }

    async fn put(&self, schedule: &Schedule) -> Result<(), SchedulesError> {
        let now = self.now();
        self.lock()
            .schedules
            .apply(Change::Put(Box::new(schedule.clone())), now);
        Ok(())
    }

    async fn remove(&self, id: &ScheduleId) -> Result<bool, SchedulesError> {
        Ok(self.lock().schedules.kept.remove(id).is_some())
    }

    async fn list(&self, filter: &ScheduleFilter) -> Result<Vec<KeptSchedule>, SchedulesError> {
        let state = self.lock();
        let of = filter.organization_id.as_ref();
        let fits = |kept: &&KeptSchedule| of.is_none() || kept.schedule.id.tenant.organization_id() == of;
        let kept = state.schedules.ordered().into_iter().filter(fits).cloned();
        Ok(kept.take(list_limit(filter.limit)).collect())
    }

    async fn find(&self, id: &ScheduleId) -> Result<Option<KeptSchedule>, SchedulesError> {
        Ok(self.lock().schedules.kept.get(id).map(|row| row.kept.clone()))
    }

    async fn due(&self, limit: u32) -> Result<DueSchedules, SchedulesError> {
        let now = self.now();
        let state = self.lock();
        let mut by_slot = state.schedules.ordered();
        by_slot.retain(|kept| kept.next_slot.is_some());
        by_slot.sort_by_key(|kept| kept.next_slot);
        let is_due = |kept: &&&KeptSchedule| kept.next_slot.is_some_and(|slot| slot <= now);
        Ok(DueSchedules {
            now,
            next: by_slot
                .iter()
                .find(|kept| !is_due(kept))
                .and_then(|kept| kept.next_slot),
            schedules: by_slot
                .iter()
                .filter(is_due)
                .take(limit as usize)
                .map(|kept| (*kept).clone())
                .collect(),
        })
    }

    async fn tick(&self, plan: TickPlan) -> Result<Option<Vec<Tick>>, SchedulesError> {
        let now = self.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        let planned_for = |row: &&Row| (row.kept.revision, row.kept.next_slot) == (plan.revision, Some(plan.from_slot));
        let Some(kept) = state
            .schedules
            .kept
            .get(&plan.id)
            .filter(planned_for)
            .map(|row| row.kept.clone())
        else {
            return Ok(None);
        };
        let (id, next_slot) = (plan.id.clone(), plan.next_slot);
        let ticks = plan.decided(state.is_active(kept.last_task));
        let records: Vec<Tick> = ticks.iter().map(|tick| tick.recorded(now)).collect();
        let tasks = ticks.into_iter().filter_map(|tick| tick.task);
        let rows = tasks
            .map(|task| self.outbox_row(&OutboxMessage::Task(task), now))
            .collect::<Result<Vec<NewRow>, SchedulesError>>()?;
        state.outbox.add(rows);
        state.schedules.record(&id, &records);
        if let Some(row) = state.schedules.kept.get_mut(&id) {
            row.kept = kept.after_ticks(next_slot, &records);
        }
        drop(guard);
        self.shared.outbox_changed.notify_waiters();
        Ok(Some(records))
    }

    async fn run_now(&self, id: &ScheduleId, by: &str) -> Result<Option<Tick>, SchedulesError> {
        let (now, task_id) = (self.now(), self.new_id());
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(kept) = state.schedules.kept.get(id).map(|row| row.kept.clone()) else {
            return Ok(None);
        };
        let skips = kept.schedule.overlap == Overlap::Skip && state.is_active(kept.last_task);
        if !skips {
            let task = OutboxMessage::Task(kept.schedule.task_by_hand(task_id, now));
            let row = self.outbox_row(&task, now)?;
            state.outbox.add(vec![row]);
            if let Some(row) = state.schedules.kept.get_mut(id) {
                row.kept.last_task = Some(task_id);
            }
        }
        let tick = Tick::by_hand(by, (!skips).then_some(task_id), now);
        state.schedules.record(id, std::slice::from_ref(&tick));
        drop(guard);
        self.shared.outbox_changed.notify_waiters();
        Ok(Some(tick))
    }

    async fn pause(&self, id: &ScheduleId, pause: SchedulePauseOrder) -> Result<bool, SchedulesError> {
        let now = self.now();
        let mut state = self.lock();
        let Some(row) = state.schedules.kept.get_mut(id) else {
            return Ok(false);
        };
        row.kept.pause = Some(SchedulePause::ordered(row.kept.pause.take(), pause, now));
        row.kept.revision += 1;
        Ok(true)
    }

    async fn resume(&self, id: &ScheduleId, by: &str) -> Result<bool, SchedulesError> {
        let now = self.now();
        let mut state = self.lock();
        let paused = state
            .schedules
            .kept
            .get_mut(id)
            .filter(|row| row.kept.is_paused_at(now));
        let Some(row) = paused else {
            return Ok(false);
        };
        row.kept.pause = row.kept.pause.take().map(|pause| pause.ended_by(by, now));
        row.kept.revision += 1;
        Ok(true)
    }

    async fn history(&self, id: &ScheduleId, limit: Option<u32>) -> Result<Vec<Tick>, SchedulesError> {
        let state = self.lock();
        let of_it = state.schedules.ticks.iter().rev().filter(|(of, _)| of == id);
        Ok(of_it.map(|(_, tick)| tick.clone()).take(list_limit(limit)).collect())
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, SchedulesError> {
        let mut state = self.lock();
        let mut left = u64::from(limit);
        let had = left;
        state.schedules.ticks.retain(|(_, tick)| {
            let is_old = left > 0 && tick.at < before;
            left -= u64::from(is_old);
            !is_old
        });
        Ok(had - left)
    }
}

impl InMemory {
    fn outbox_row(&self, message: &OutboxMessage, written_at: Timestamp) -> Result<NewRow, SchedulesError> {
        let raw = message
            .to_raw(message.tenant(), self.limits())
            .map_err(|error| match error {
                OutboxError::Limit(limit) => SchedulesError::Limit(limit),
                other => SchedulesError::Refused {
                    operation: "tick",
                    reason: other.to_string(),
                },
            })?;
        Ok(NewRow {
            id: message.id(),
            ordering: message.ordering(),
            written_at,
            message: raw,
        })
    }
}
