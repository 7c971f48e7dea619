//! Schedules and ticks as rows.

use aftercommit_domain::contract::{OrganizationId, ProjectId, ScheduleKey, Tenant};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    KeptSchedule, Schedule, ScheduleId, ScheduleOrigin, SchedulePause, SchedulesError, Tick, TickOutcome,
};
use aftercommit_domain::time::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::columns::{count, micros, timestamp};

/// Reads schedules.
pub(super) const SCHEDULE: &str = "SELECT organization_id, project_id, key, origin, declared_at, revision, next_slot, \
    last_slot, last_outcome, last_task, last_position, paused_at, paused_by, paused_reason, paused_until, resumed_by, \
    document FROM aftercommit_schedules";

#[derive(FromRow)]
pub(super) struct ScheduleRow {
    organization_id: String,
    project_id: String,
    key: String,
    origin: String,
    declared_at: Option<i64>,
    revision: i64,
    next_slot: Option<i64>,
    last_slot: Option<i64>,
    last_outcome: Option<String>,
    last_task: Option<Uuid>,
    last_position: Option<i64>,
    paused_at: Option<i64>,
    paused_by: Option<String>,
    paused_reason: Option<String>,
    paused_until: Option<i64>,
    resumed_by: Option<String>,
    document: String,
}

#[derive(FromRow)]
pub(super) struct TickRow {
    slot: i64,
    last_slot: i64,
    slots: i64,
    outcome: String,
    task: Option<Uuid>,
    ordered_by: Option<String>,
    decided_at: i64,
}

/// A tenant as the columns have it: empty for none.
pub(super) fn scope_of(id: &ScheduleId) -> (String, String) {
    let organization = id.tenant.organization_id().map_or("", OrganizationId::as_str);
    let project = id.tenant.project_id().map_or("", ProjectId::as_str);
    (organization.to_owned(), project.to_owned())
}

impl ScheduleRow {
    /// When a process said the last time that it declares it.
    pub(super) fn declared_at(&self) -> Option<Timestamp> {
        self.declared_at.map(timestamp)
    }

    /// Where its last task was put into the outbox.
    pub(super) const fn last_position(&self) -> Option<i64> {
        self.last_position
    }

    pub(super) fn into_kept(self) -> Result<KeptSchedule, sqlx::Error> {
        let organization = some(self.organization_id).map(OrganizationId::new).transpose();
        let project = some(self.project_id).map(ProjectId::new).transpose();
        let tenant = Tenant::from_parts(
            organization.map_err(|error| corrupt(&error))?,
            project.map_err(|error| corrupt(&error))?,
        );
        let id = ScheduleId {
            tenant: tenant.ok_or_else(|| corrupt(&"a project without its organization"))?,
            key: ScheduleKey::new(self.key).map_err(|error| corrupt(&error))?,
        };
        let pause = match (self.paused_at, self.paused_by, self.paused_reason) {
            (Some(since), Some(by), Some(reason)) => Some(SchedulePause {
                since: timestamp(since),
                by,
                reason,
                until: self.paused_until.map(timestamp),
                resumed_by: self.resumed_by,
            }),
            _ => None,
        };
        let outcome = self.last_outcome.as_deref().and_then(TickOutcome::from_word);
        Ok(KeptSchedule {
            schedule: Schedule::from_document(id, &self.document).map_err(|error| corrupt(&error))?,
            origin: ScheduleOrigin::from_word(&self.origin).ok_or_else(|| corrupt(&"an unknown origin"))?,
            revision: self.revision,
            next_slot: self.next_slot.map(timestamp),
            last: self.last_slot.map(timestamp).zip(outcome),
            last_task: self.last_task.map(MessageId::from),
            pause,
        })
    }
}

impl TickRow {
    pub(super) fn into_tick(self) -> Result<Tick, SchedulesError> {
        Ok(Tick {
            slot: timestamp(self.slot),
            last_slot: timestamp(self.last_slot),
            slots: count(self.slots),
            outcome: TickOutcome::from_word(&self.outcome).ok_or_else(|| SchedulesError::Refused {
                operation: "history",
                reason: format!("{:?} is no outcome of a tick", self.outcome),
            })?,
            task: self.task.map(MessageId::from),
            by: self.ordered_by,
            at: timestamp(self.decided_at),
        })
    }
}

/// Reads the row of a schedule in the transaction that changes it.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    id: &ScheduleId,
) -> Result<Option<ScheduleRow>, sqlx::Error> {
    let sql = format!("{SCHEDULE} WHERE organization_id = ?1 AND project_id = ?2 AND key = ?3");
    let (organization, project) = scope_of(id);
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(organization)
        .bind(project)
        .bind(id.key.as_str())
        .fetch_optional(connection)
        .await
}

/// Writes all of a schedule but its place in the outbox.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    kept: &KeptSchedule,
    declared_at: Option<Timestamp>,
) -> Result<(), sqlx::Error> {
    let (organization, project) = scope_of(&kept.schedule.id);
    let pause = kept.pause.as_ref();
    sqlx::query(
        "INSERT INTO aftercommit_schedules (organization_id, project_id, key, origin, declared_at, revision, next_slot, \
           last_slot, last_outcome, last_task, paused_at, paused_by, paused_reason, paused_until, resumed_by, document) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
         ON CONFLICT (organization_id, project_id, key) DO UPDATE SET origin = excluded.origin, \
           declared_at = excluded.declared_at, revision = excluded.revision, next_slot = excluded.next_slot, \
           last_slot = excluded.last_slot, last_outcome = excluded.last_outcome, last_task = excluded.last_task, \
           paused_at = excluded.paused_at, paused_by = excluded.paused_by, paused_reason = excluded.paused_reason, \
           paused_until = excluded.paused_until, resumed_by = excluded.resumed_by, document = excluded.document",
    )
    .bind(organization)
    .bind(project)
    .bind(kept.schedule.id.key.as_str())
    .bind(kept.origin.as_str())
    .bind(declared_at.map(micros))
    .bind(kept.revision)
    .bind(kept.next_slot.map(micros))
    .bind(kept.last.map(|(slot, _)| micros(slot)))
    .bind(kept.last.map(|(_, outcome)| outcome.as_str()))
    .bind(kept.last_task.map(MessageId::uuid))
    .bind(pause.map(|pause| micros(pause.since)))
    .bind(pause.map(|pause| pause.by.as_str()))
    .bind(pause.map(|pause| pause.reason.as_str()))
    .bind(pause.and_then(|pause| pause.until).map(micros))
    .bind(pause.and_then(|pause| pause.resumed_by.as_deref()))
    .bind(kept.schedule.document())
    .execute(connection)
    .await?;
    Ok(())
}

/// Records what became of slots, unless that was decided before, by a schedule of this key that was changed or removed since.
/// Answers whether it was recorded.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    id: &ScheduleId,
    tick: &Tick,
) -> Result<bool, sqlx::Error> {
    let (organization, project) = scope_of(id);
    let done = sqlx::query(
        "INSERT INTO aftercommit_schedule_ticks (organization_id, project_id, key, slot, last_slot, slots, outcome, task, \
           ordered_by, decided_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT DO NOTHING",
    )
    .bind(organization)
    .bind(project)
    .bind(id.key.as_str())
    .bind(micros(tick.slot))
    .bind(micros(tick.last_slot))
    .bind(i64::try_from(tick.slots).unwrap_or(i64::MAX))
    .bind(tick.outcome.as_str())
    .bind(tick.task.map(MessageId::uuid))
    .bind(tick.by.as_deref())
    .bind(micros(tick.at))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn corrupt(error: &dyn std::fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(format!("a schedule is corrupt: {error}").into())
}
