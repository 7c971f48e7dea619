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
use sqlx::SqliteConnection;

use super::not_read;
use super::rows::{SCHEDULE, ScheduleRow, read, record, scope_of, write};
use crate::transaction::SqliteTransaction;

/// A writer of schedules for an open transaction of `tenant`.
pub(crate) fn create_schedule_writer(
    transaction: &mut SqliteTransaction,
    tenant: Tenant,
    now: Timestamp,
) -> SqliteScheduleWriter<'_> {
    SqliteScheduleWriter {
        transaction,
        tenant,
        now,
    }
}

/// Changes schedules in one open transaction.
pub(crate) struct SqliteScheduleWriter<'t> {
    transaction: &'t mut SqliteTransaction,
    tenant: Tenant,
    now: Timestamp,
}

#[async_trait]
impl ScheduleWriter for SqliteScheduleWriter<'_> {
    async fn put(&mut self, schedule: &Schedule) -> Result<(), SchedulesError> {
        schedule.id.check_owner(&self.tenant)?;
        let done = put(self.transaction, schedule, self.now).await;
        done.map_err(|error| not_read("put", &error))
    }

    async fn remove(&mut self, id: &ScheduleId) -> Result<bool, SchedulesError> {
        id.check_owner(&self.tenant)?;
        let done = remove(self.transaction, id).await;
        done.map_err(|error| not_read("remove", &error))
    }
}

impl fmt::Debug for SqliteScheduleWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteScheduleWriter")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

pub(super) async fn put(
    connection: &mut SqliteConnection,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let before = match read(connection, &schedule.id).await? {
        Some(row) => Some(row.into_kept()?),
        None => None,
    };
    change(connection, before, schedule, ScheduleOrigin::MadeAtRunTime, now).await
}

/// Makes a schedule what it is to be.
async fn change(
    connection: &mut SqliteConnection,
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

pub(super) async fn remove(connection: &mut SqliteConnection, id: &ScheduleId) -> Result<bool, sqlx::Error> {
    let (organization, project) = scope_of(id);
    let done =
        sqlx::query("DELETE FROM aftercommit_schedules WHERE organization_id = ?1 AND project_id = ?2 AND key = ?3")
            .bind(organization)
            .bind(project)
            .bind(id.key.as_str())
            .execute(connection)
            .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn reconcile(
    connection: &mut SqliteConnection,
    declared: &[Schedule],
    grace: Duration,
    now: Timestamp,
) -> Result<Reconciled, sqlx::Error> {
    let mut reconciled = Reconciled::default();
    let sql = format!("{SCHEDULE} WHERE declared_at IS NOT NULL ORDER BY organization_id, project_id, key");
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
    connection: &mut SqliteConnection,
    id: &ScheduleId,
    order: SchedulePauseOrder,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    change_pause(connection, id, |kept| {
        Some(SchedulePause::ordered(kept.pause, order, now))
    })
    .await
}

pub(super) async fn resume(
    connection: &mut SqliteConnection,
    id: &ScheduleId,
    by: &str,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let ended = |kept: KeptSchedule| {
        let pause = kept.pause.filter(|pause| pause.holds_at(now));
        pause.map(|pause| pause.ended_by(by, now))
    };
    change_pause(connection, id, ended).await
}

async fn change_pause(
    connection: &mut SqliteConnection,
    id: &ScheduleId,
    pause: impl FnOnce(KeptSchedule) -> Option<SchedulePause>,
) -> Result<bool, sqlx::Error> {
    let Some(row) = read(connection, id).await? else {
        return Ok(false);
    };
    let declared_at = row.declared_at();
    let kept = row.into_kept()?;
    let Some(pause) = pause(kept.clone()) else {
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
