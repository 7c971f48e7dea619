//! Schedules and what became of their slots.

mod rows;
mod ticking;
mod writing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    DueSchedules, KeptSchedule, Reconciled, Schedule, ScheduleFilter, ScheduleId, SchedulePauseOrder, Schedules,
    SchedulesError, Tick, TickPlan,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;
use futures::future::BoxFuture;
use sqlx::{Connection as _, PgConnection};

use self::rows::{SCHEDULE, ScheduleRow, TickRow, scope_of};
use self::ticking::{TickColumns, by_hand};
use crate::database::{Inner, LIST_CAP, LIST_DEFAULT};
use crate::statement::Statements;
use crate::trouble::{Trouble, told, trouble};

pub(crate) use writing::create_schedule_writer;

/// How often a run by hand looks again at a schedule that was changed meanwhile.
const TRIES: u32 = 5;

/// The schedules of a database. Times are those of the server's clock.
#[derive(Clone)]
pub struct PostgresSchedules {
    pub(crate) database: Arc<Inner>,
}

impl PostgresSchedules {
    /// Changes something in a transaction.
    async fn change<T, F>(&self, operation: &'static str, run: F) -> Result<T, SchedulesError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    {
        let changed = self.database.engine.run(move |connection| {
            Box::pin(async move {
                let mut transaction = connection.begin().await?;
                let value = run(&mut transaction).await?;
                transaction.commit().await?;
                Ok(value)
            })
        });
        changed.await.map_err(|error| not_done(operation, &error))
    }

    async fn find_by(&self, statements: &Statements, id: &ScheduleId) -> Result<Option<KeptSchedule>, SchedulesError> {
        let sql = format!("{SCHEDULE} WHERE organization_id = $1 AND project_id = $2 AND key = $3");
        let ((organization, project), key) = (scope_of(id), id.key.clone());
        let rows = statements.run(move |connection| {
            Box::pin(async move {
                sqlx::query_as::<_, ScheduleRow>(sqlx::AssertSqlSafe(sql))
                    .bind(organization)
                    .bind(project)
                    .bind(key.as_str())
                    .fetch_all(connection)
                    .await
            })
        });
        Ok(kept("find", rows.await)?.pop())
    }
}

#[async_trait]
impl Schedules for PostgresSchedules {
    async fn reconcile(&self, declared: &[Schedule], grace: Duration) -> Result<Reconciled, SchedulesError> {
        let declared = declared.to_vec();
        let reconciled = self.change("reconcile", move |connection| {
            Box::pin(async move { writing::reconcile(connection, &declared, grace).await })
        });
        reconciled.await
    }

    async fn put(&self, schedule: &Schedule) -> Result<(), SchedulesError> {
        let schedule = schedule.clone();
        let put = self.change("put", move |connection| {
            Box::pin(async move { writing::put(connection, &schedule).await })
        });
        put.await
    }

    async fn remove(&self, id: &ScheduleId) -> Result<bool, SchedulesError> {
        let id = id.clone();
        let removed = self.change("remove", move |connection| {
            Box::pin(async move { writing::remove(connection, &id).await })
        });
        removed.await
    }

    async fn list(&self, filter: &ScheduleFilter) -> Result<Vec<KeptSchedule>, SchedulesError> {
        let sql = format!(
            "{SCHEDULE} WHERE $1::text IS NULL OR organization_id = $1 \
             ORDER BY organization_id COLLATE \"C\", project_id COLLATE \"C\", key COLLATE \"C\" LIMIT $2"
        );
        let organization = filter.organization_id.as_ref().map(|id| id.as_str().to_owned());
        let limit = i64::from(filter.limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP));
        let rows = self.database.console.run(move |connection| {
            Box::pin(async move {
                sqlx::query_as::<_, ScheduleRow>(sqlx::AssertSqlSafe(sql))
                    .bind(organization)
                    .bind(limit)
                    .fetch_all(connection)
                    .await
            })
        });
        kept("list", rows.await)
    }

    async fn find(&self, id: &ScheduleId) -> Result<Option<KeptSchedule>, SchedulesError> {
        self.find_by(&self.database.console, id).await
    }

    async fn due(&self, limit: u32) -> Result<DueSchedules, SchedulesError> {
        let sql = format!("{SCHEDULE} WHERE next_slot <= $1 ORDER BY next_slot, entry LIMIT $2");
        let due = self.database.engine.run(move |connection| {
            Box::pin(async move {
                let (now, next): (Timestamp, Option<Timestamp>) = sqlx::query_as(
                    "SELECT aftercommit.clock(), \
                       (SELECT min(next_slot) FROM aftercommit.schedules WHERE next_slot > aftercommit.clock())",
                )
                .fetch_one(&mut *connection)
                .await?;
                let rows = sqlx::query_as::<_, ScheduleRow>(sqlx::AssertSqlSafe(sql))
                    .bind(now)
                    .bind(i64::from(limit))
                    .fetch_all(connection)
                    .await?;
                Ok((now, next, rows))
            })
        });
        let (now, next, rows) = due.await.map_err(|error| not_done("due", &error))?;
        let schedules = readable(rows);
        Ok(DueSchedules { now, schedules, next })
    }

    async fn tick(&self, plan: TickPlan) -> Result<Option<Vec<Tick>>, SchedulesError> {
        let columns = TickColumns::of(&plan.ticks, &self.database.services.limits)?;
        let asked = plan.clone();
        let decided = self
            .database
            .engine
            .run(move |connection| Box::pin(async move { columns.carry_out(connection, &asked, None).await }));
        let decided = decided.await.map_err(|error| not_done("tick", &error))?;
        self.database.relay.committed();
        Ok(decided.map(|(at, was_active)| {
            let ticks = plan.decided(was_active);
            ticks.iter().map(|tick| tick.recorded(at)).collect()
        }))
    }

    async fn run_now(&self, id: &ScheduleId, by: &str) -> Result<Option<Tick>, SchedulesError> {
        let task = MessageId::new(&*self.database.services.ids);
        for _ in 0..TRIES {
            let Some(kept) = self.find_by(&self.database.engine, id).await? else {
                return Ok(None);
            };
            let now = self.database.engine.run(|connection| {
                Box::pin(async move {
                    sqlx::query_scalar("SELECT aftercommit.clock()")
                        .fetch_one(connection)
                        .await
                })
            });
            let now: Timestamp = now.await.map_err(|error| not_done("run_now", &error))?;
            let plan = by_hand(&kept, task, now);
            let columns = TickColumns::of(&plan.ticks, &self.database.services.limits)?;
            let ordered_by = by.to_owned();
            let decided = self.database.engine.run(move |connection| {
                Box::pin(async move { columns.carry_out(connection, &plan, Some(&ordered_by)).await })
            });
            // Somebody changed it meanwhile: it is looked at again.
            if let Some((at, was_active)) = decided.await.map_err(|error| not_done("run_now", &error))? {
                self.database.relay.committed();
                let tick = Tick::by_hand(by, (!was_active).then_some(task), now);
                return Ok(Some(Tick { at, ..tick }));
            }
        }
        Err(SchedulesError::Conflict {
            operation: "run_now",
            reason: format!("it was changed {TRIES} times meanwhile"),
        })
    }

    async fn pause(&self, id: &ScheduleId, pause: SchedulePauseOrder) -> Result<bool, SchedulesError> {
        let id = id.clone();
        let paused = self.change("pause", move |connection| {
            Box::pin(async move { writing::pause(connection, &id, pause).await })
        });
        paused.await
    }

    async fn resume(&self, id: &ScheduleId, by: &str) -> Result<bool, SchedulesError> {
        let (id, by) = (id.clone(), by.to_owned());
        let resumed = self.change("resume", move |connection| {
            Box::pin(async move { writing::resume(connection, &id, &by).await })
        });
        resumed.await
    }

    async fn history(&self, id: &ScheduleId, limit: Option<u32>) -> Result<Vec<Tick>, SchedulesError> {
        let ((organization, project), key) = (scope_of(id), id.key.clone());
        let rows = self.database.console.run(move |connection| {
            Box::pin(async move {
                sqlx::query_as::<_, TickRow>(
                    "SELECT slot, last_slot, slots, outcome, task, ordered_by, decided_at \
                     FROM aftercommit.schedule_ticks WHERE organization_id = $1 AND project_id = $2 AND key = $3 \
                     ORDER BY entry DESC LIMIT $4",
                )
                .bind(organization)
                .bind(project)
                .bind(key.as_str())
                .bind(i64::from(limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP)))
                .fetch_all(connection)
                .await
            })
        });
        let rows = rows.await.map_err(|error| not_done("history", &error))?;
        rows.into_iter().map(TickRow::into_tick).collect()
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, SchedulesError> {
        let pruned = self.database.leases.run(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(
                    "DELETE FROM aftercommit.schedule_ticks WHERE entry IN (\
                       SELECT entry FROM aftercommit.schedule_ticks WHERE decided_at < $1 \
                       ORDER BY decided_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
                )
                .bind(before)
                .bind(i64::from(limit))
                .execute(connection)
                .await?;
                Ok(done.rows_affected())
            })
        });
        pruned.await.map_err(|error| not_done("prune", &error))
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
    let rows = rows.map_err(|error| not_done(operation, &error))?.into_iter();
    rows.map(|row| row.into_kept().map_err(|error| not_done(operation, &error)))
        .collect()
}

fn not_done(operation: &'static str, error: &sqlx::Error) -> SchedulesError {
    let reason = told(error);
    match trouble(error) {
        Trouble::Away => SchedulesError::Unavailable { operation, reason },
        // A slot that somebody decided about meanwhile.
        Trouble::Conflict | Trouble::Duplicate => SchedulesError::Conflict { operation, reason },
        Trouble::Refused => SchedulesError::Refused { operation, reason },
    }
}

impl fmt::Debug for PostgresSchedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSchedules").finish_non_exhaustive()
    }
}
