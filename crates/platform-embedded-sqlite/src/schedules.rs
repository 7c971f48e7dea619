//! Schedules and what became of their slots.

mod rows;
mod ticking;
mod writing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::tasks::{
    DueSchedules, KeptSchedule, Reconciled, Schedule, ScheduleFilter, ScheduleId, SchedulePauseOrder, Schedules,
    SchedulesError, Tick, TickPlan,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;

use self::rows::{SCHEDULE, ScheduleRow, TickRow, scope_of};
use crate::columns::{Trouble, micros, timestamp, trouble};
use crate::database::{Inner, LIST_CAP, LIST_DEFAULT};
use crate::writer::WriteError;

pub(crate) use writing::create_schedule_writer;

/// The schedules of a database.
#[derive(Clone)]
pub struct SqliteSchedules {
    pub(crate) database: Arc<Inner>,
}

impl SqliteSchedules {
    fn now(&self) -> Timestamp {
        self.database.services.clock.now()
    }

    async fn write<T, F>(&self, operation: &'static str, run: F) -> Result<T, SchedulesError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    {
        let relay = Arc::clone(&self.database.relay);
        let written = self.database.writer.call(run, move |_| relay.bump()).await;
        written.map_err(|error| match error {
            WriteError::Unavailable(reason) | WriteError::Unknown(reason) => {
                SchedulesError::Unavailable { operation, reason }
            }
            WriteError::Refused(reason) => SchedulesError::Refused { operation, reason },
        })
    }
}

#[async_trait]
impl Schedules for SqliteSchedules {
    /// Nobody else has the file open, so that this process alone decides.
    async fn reconcile(&self, declared: &[Schedule], grace: Duration) -> Result<Reconciled, SchedulesError> {
        let (now, declared) = (self.now(), declared.to_vec());
        let reconciled = self.write("reconcile", move |connection| {
            let declared = declared.clone();
            Box::pin(async move { writing::reconcile(connection, &declared, grace, now).await })
        });
        reconciled.await
    }

    async fn put(&self, schedule: &Schedule) -> Result<(), SchedulesError> {
        let (now, schedule) = (self.now(), schedule.clone());
        let put = self.write("put", move |connection| {
            let schedule = schedule.clone();
            Box::pin(async move { writing::put(connection, &schedule, now).await })
        });
        put.await
    }

    async fn remove(&self, id: &ScheduleId) -> Result<bool, SchedulesError> {
        let id = id.clone();
        let removed = self.write("remove", move |connection| {
            let id = id.clone();
            Box::pin(async move { writing::remove(connection, &id).await })
        });
        removed.await
    }

    async fn list(&self, filter: &ScheduleFilter) -> Result<Vec<KeptSchedule>, SchedulesError> {
        let sql = format!(
            "{SCHEDULE} WHERE ?1 IS NULL OR organization_id = ?1 ORDER BY organization_id, project_id, key LIMIT ?2"
        );
        let query = sqlx::query_as::<_, ScheduleRow>(sqlx::AssertSqlSafe(sql))
            .bind(filter.organization_id.as_ref().map(|id| id.as_str().to_owned()))
            .bind(i64::from(filter.limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP)));
        let rows = self.database.bounded(query.fetch_all(&self.database.readers)).await;
        kept("list", rows)
    }

    async fn find(&self, id: &ScheduleId) -> Result<Option<KeptSchedule>, SchedulesError> {
        let sql = format!("{SCHEDULE} WHERE organization_id = ?1 AND project_id = ?2 AND key = ?3");
        let (organization, project) = scope_of(id);
        let query = sqlx::query_as::<_, ScheduleRow>(sqlx::AssertSqlSafe(sql))
            .bind(organization)
            .bind(project)
            .bind(id.key.as_str());
        let rows = self.database.bounded(query.fetch_all(&self.database.readers)).await;
        Ok(kept("find", rows)?.pop())
    }

    async fn due(&self, limit: u32) -> Result<DueSchedules, SchedulesError> {
        let now = self.now();
        let sql = format!("{SCHEDULE} WHERE next_slot <= ?1 ORDER BY next_slot, entry LIMIT ?2");
        let query = sqlx::query_as::<_, ScheduleRow>(sqlx::AssertSqlSafe(sql))
            .bind(micros(now))
            .bind(i64::from(limit));
        let rows = self.database.bounded(query.fetch_all(&self.database.readers)).await;
        let next = sqlx::query_scalar("SELECT min(next_slot) FROM aftercommit_schedules WHERE next_slot > ?1")
            .bind(micros(now));
        let next: Result<Option<i64>, _> = self.database.bounded(next.fetch_one(&self.database.readers)).await;
        Ok(DueSchedules {
            now,
            schedules: readable(rows.map_err(|error| not_read("due", &error))?),
            next: next.map_err(|error| not_read("due", &error))?.map(timestamp),
        })
    }

    async fn tick(&self, plan: TickPlan) -> Result<Option<Vec<Tick>>, SchedulesError> {
        let now = self.now();
        let job = ticking::TickJob::of(plan, &self.database.services.limits)?;
        let ticked = self.write("tick", move |connection| {
            let job = job.clone();
            Box::pin(async move { job.run(connection, now).await })
        });
        ticked.await
    }

    async fn run_now(&self, id: &ScheduleId, by: &str) -> Result<Option<Tick>, SchedulesError> {
        let (now, id, by) = (self.now(), id.clone(), by.to_owned());
        let limits = self.database.services.limits;
        let task_id = aftercommit_domain::ids::MessageId::new(&*self.database.services.ids);
        let ran = self.write("run_now", move |connection| {
            let (id, by) = (id.clone(), by.clone());
            Box::pin(async move { ticking::run_now(connection, &id, &by, task_id, &limits, now).await })
        });
        ran.await?.transpose()
    }

    async fn pause(&self, id: &ScheduleId, pause: SchedulePauseOrder) -> Result<bool, SchedulesError> {
        let (now, id) = (self.now(), id.clone());
        let paused = self.write("pause", move |connection| {
            let (id, pause) = (id.clone(), pause.clone());
            Box::pin(async move { writing::pause(connection, &id, pause, now).await })
        });
        paused.await
    }

    async fn resume(&self, id: &ScheduleId, by: &str) -> Result<bool, SchedulesError> {
        let (now, id, by) = (self.now(), id.clone(), by.to_owned());
        let resumed = self.write("resume", move |connection| {
            let (id, by) = (id.clone(), by.clone());
            Box::pin(async move { writing::resume(connection, &id, &by, now).await })
        });
        resumed.await
    }

    async fn history(&self, id: &ScheduleId, limit: Option<u32>) -> Result<Vec<Tick>, SchedulesError> {
        let (organization, project) = scope_of(id);
        let query = sqlx::query_as::<_, TickRow>(
            "SELECT slot, last_slot, slots, outcome, task, ordered_by, decided_at FROM aftercommit_schedule_ticks \
             WHERE organization_id = ?1 AND project_id = ?2 AND key = ?3 ORDER BY entry DESC LIMIT ?4",
        )
        .bind(organization)
        .bind(project)
        .bind(id.key.as_str())
        .bind(i64::from(limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP)));
        let rows = self.database.bounded(query.fetch_all(&self.database.readers)).await;
        let rows = rows.map_err(|error| not_read("history", &error))?;
        rows.into_iter().map(TickRow::into_tick).collect()
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, SchedulesError> {
        let before = micros(before);
        let pruned = self.write("prune", move |connection| {
            Box::pin(async move {
                let done = sqlx::query(
                    "DELETE FROM aftercommit_schedule_ticks WHERE entry IN (\
                       SELECT entry FROM aftercommit_schedule_ticks WHERE decided_at < ?1 \
                       ORDER BY decided_at LIMIT ?2)",
                )
                .bind(before)
                .bind(i64::from(limit))
                .execute(connection)
                .await?;
                Ok(done.rows_affected())
            })
        });
        pruned.await
    }
}

/// The schedules that this build can read; another one's must not hold up the rest.
fn readable(rows: Vec<ScheduleRow>) -> Vec<KeptSchedule> {
    let kept = rows.into_iter().map(ScheduleRow::into_kept);
    kept.filter_map(|kept| match kept {
        Ok(kept) => Some(kept),
        Err(error) => {
            tracing::warn!(%error, "a schedule cannot be read; its slots wait");
            None
        }
    })
    .collect()
}

fn kept(
    operation: &'static str,
    rows: Result<Vec<ScheduleRow>, sqlx::Error>,
) -> Result<Vec<KeptSchedule>, SchedulesError> {
    let rows = rows.map_err(|error| not_read(operation, &error))?.into_iter();
    rows.map(|row| row.into_kept().map_err(|error| not_read(operation, &error)))
        .collect()
}

fn not_read(operation: &'static str, error: &sqlx::Error) -> SchedulesError {
    let reason = error.to_string();
    match trouble(error) {
        Trouble::Away => SchedulesError::Unavailable { operation, reason },
        Trouble::Refused | Trouble::Duplicate => SchedulesError::Refused { operation, reason },
    }
}

impl fmt::Debug for SqliteSchedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSchedules").finish_non_exhaustive()
    }
}
