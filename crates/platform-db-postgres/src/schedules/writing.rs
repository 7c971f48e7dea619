//! Schedules that are made, changed and removed.

use std::fmt;
use std::time::Duration;

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::tasks::{
    KeptSchedule, Reconciled, Reconciliation, Schedule, ScheduleId, ScheduleOrigin, SchedulePause, SchedulePauseOrder,
    ScheduleWriter, SchedulesError,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;
use sqlx::PgConnection;

use super::not_done;
use super::rows::{SCHEDULE, ScheduleRow, read, record, scope_of, write};

/// A writer of schedules for an open transaction of `tenant`.
pub(crate) fn create_schedule_writer(transaction: &mut PgConnection, tenant: Tenant) -> PostgresScheduleWriter<'_> {
    PostgresScheduleWriter { transaction, tenant }
}

/// Changes schedules in one open transaction.
pub(crate) struct PostgresScheduleWriter<'t> {
    transaction: &'t mut PgConnection,
    tenant: Tenant,
}

#[async_trait]
impl ScheduleWriter for PostgresScheduleWriter<'_> {
    async fn put(&mut self, schedule: &Schedule) -> Result<(), SchedulesError> {
        schedule.id.check_owner(&self.tenant)?;
        let done = put(self.transaction, schedule).await;
        done.map_err(|error| not_done("put", &error))
    }

    async fn remove(&mut self, id: &ScheduleId) -> Result<bool, SchedulesError> {
        id.check_owner(&self.tenant)?;
        let done = remove(self.transaction, id).await;
        done.map_err(|error| not_done("remove", &error))
    }
}

impl fmt::Debug for PostgresScheduleWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresScheduleWriter")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

pub(super) async fn put(connection: &mut PgConnection, schedule: &Schedule) -> Result<(), sqlx::Error> {
    let before = match read(connection, &schedule.id).await? {
        Some(row) => Some(row.into_kept()?),
        None => None,
    };
    let now = clock(connection).await?;
    change(connection, before, schedule, ScheduleOrigin::MadeAtRunTime, now).await
}

/// Makes a schedule what it is to be.
async fn change(
    connection: &mut PgConnection,
    before: Option<KeptSchedule>,
    schedule: &Schedule,
    origin: ScheduleOrigin,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let (kept, missed) = match before {
        Some(before) => before.changed_to(schedule, origin, now),
        None => (KeptSchedule::new(schedule.clone(), origin, now), None),
    };
    if let Some(missed) = missed {
        record(connection, &schedule.id, &missed).await?;
    }
    let declared_at = (origin == ScheduleOrigin::Declared).then_some(now);
    write(connection, &kept, declared_at).await
}

pub(super) async fn remove(connection: &mut PgConnection, id: &ScheduleId) -> Result<bool, sqlx::Error> {
    let (organization, project) = scope_of(id);
    let done =
        sqlx::query("DELETE FROM aftercommit.schedules WHERE organization_id = $1 AND project_id = $2 AND key = $3")
            .bind(organization)
            .bind(project)
            .bind(id.key.as_str())
            .execute(connection)
            .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn reconcile(
    connection: &mut PgConnection,
    declared: &[Schedule],
    grace: Duration,
) -> Result<Reconciled, sqlx::Error> {
    let mut reconciled = Reconciled::default();
    // One at a time, so that nobody waits for another's schedules in another order.
    sqlx::query("SELECT pg_advisory_xact_lock(1634036841)")
        .execute(&mut *connection)
        .await?;
    let now = clock(connection).await?;
    let sql = format!("{SCHEDULE} WHERE declared_at IS NOT NULL ORDER BY organization_id, project_id, key FOR UPDATE");
    let known: Vec<ScheduleRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .fetch_all(&mut *connection)
        .await?;
    for row in known {
        let declared_at = row.declared_at();
        let kept = match row.into_kept() {
            Ok(kept) => kept,
            Err(error) => {
                // A newer build wrote it, perhaps: it is that one's to change.
                tracing::warn!(%error, "a declared schedule cannot be read");
                continue;
            }
        };
        let id = kept.schedule.id.clone();
        let here = declared.iter().find(|schedule| schedule.id == id);
        match (Reconciliation::of(&kept, declared_at, here, now, grace), here) {
            (Reconciliation::Renew, _) => write(connection, &kept, Some(now)).await?,
            (Reconciliation::Change, Some(schedule)) => {
                change(connection, Some(kept), schedule, ScheduleOrigin::Declared, now).await?;
                reconciled.changed.push(id);
            }
            (Reconciliation::Remove, _) => {
                remove(connection, &id).await?;
                reconciled.removed.push(id);
            }
            (Reconciliation::Differ, _) => reconciled.differing.push(id),
            (Reconciliation::Leave | Reconciliation::Change, _) => {}
        }
    }
    for schedule in declared {
        match read(connection, &schedule.id).await? {
            None => {
                change(connection, None, schedule, ScheduleOrigin::Declared, now).await?;
                reconciled.added.push(schedule.id.clone());
            }
            Some(row) if row.declared_at().is_none() => reconciled.differing.push(schedule.id.clone()),
            Some(_) => {}
        }
    }
    Ok(reconciled)
}

pub(super) async fn pause(
    connection: &mut PgConnection,
    id: &ScheduleId,
    order: SchedulePauseOrder,
) -> Result<bool, sqlx::Error> {
    change_pause(connection, id, |kept, now| {
        Some(SchedulePause::ordered(kept.pause, order, now))
    })
    .await
}

pub(super) async fn resume(connection: &mut PgConnection, id: &ScheduleId, by: &str) -> Result<bool, sqlx::Error> {
    let ended = |kept: KeptSchedule, now: Timestamp| {
        let pause = kept.pause.filter(|pause| pause.holds_at(now));
        pause.map(|pause| pause.ended_by(by, now))
    };
    change_pause(connection, id, ended).await
}

async fn change_pause(
    connection: &mut PgConnection,
    id: &ScheduleId,
    pause: impl FnOnce(KeptSchedule, Timestamp) -> Option<SchedulePause>,
) -> Result<bool, sqlx::Error> {
    let Some(row) = read(connection, id).await? else {
        return Ok(false);
    };
    let declared_at = row.declared_at();
    let kept = row.into_kept()?;
    let Some(pause) = pause(kept.clone(), clock(connection).await?) else {
        return Ok(false);
    };
    let changed = KeptSchedule {
        pause: Some(pause),
        revision: kept.revision + 1,
        ..kept
    };
    write(connection, &changed, declared_at).await?;
    Ok(true)
}

/// The time by the server's clock.
async fn clock(connection: &mut PgConnection) -> Result<Timestamp, sqlx::Error> {
    sqlx::query_scalar("SELECT aftercommit.clock()")
        .fetch_one(connection)
        .await
}
