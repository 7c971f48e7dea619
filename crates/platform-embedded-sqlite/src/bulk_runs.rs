//! What operators ordered for many.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::bulk::{BEGIN_AGAIN_WITHIN, BegunBulkRun, BulkRun, BulkRuns, BulkRunsError, TakenBulkRun};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::{Timestamp, after, before};
use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::columns::{micros, timestamp};
use crate::database::{Inner, LIST_CAP, LIST_DEFAULT};

/// The bulk runs of a database.
#[derive(Clone)]
pub struct SqliteBulkRuns {
    pub(crate) database: Arc<Inner>,
}

#[derive(FromRow)]
struct RunRow {
    begun_at: i64,
    stepped_at: i64,
    document: String,
}

const RUN: &str = "SELECT begun_at, stepped_at, document FROM aftercommit_bulk_runs";

#[async_trait]
impl BulkRuns for SqliteBulkRuns {
    async fn begin(&self, run: BulkRun) -> Result<BegunBulkRun, BulkRunsError> {
        let now = self.database.services.clock.now();
        let new = Arc::new(BulkRun {
            begun_at: now,
            stepped_at: now,
            next_at: now,
            ..run
        });
        let asked = Arc::clone(&new);
        let goes_on = self
            .database
            .writer
            .call(
                move |connection| {
                    let new = Arc::clone(&new);
                    Box::pin(async move { begin(connection, &new).await })
                },
                |_| {},
            )
            .await
            .map_err(|error| unavailable("begin", &error))?;
        let Some(row) = goes_on else {
            return Ok(BegunBulkRun {
                run: BulkRun::clone(&asked),
                goes_on: false,
            });
        };
        let run = row.into_run()?;
        if run.id == asked.id && run.request != asked.request {
            return Err(BulkRunsError::OtherRequest { id: run.id });
        }
        Ok(BegunBulkRun { run, goes_on: true })
    }

    async fn find(&self, id: MessageId) -> Result<Option<BulkRun>, BulkRunsError> {
        let sql = sqlx::AssertSqlSafe(format!("{RUN} WHERE id = ?1"));
        let query = sqlx::query_as::<_, RunRow>(sql).bind(id.uuid());
        let row = self
            .database
            .bounded(query.fetch_optional(&self.database.readers))
            .await;
        let row = row.map_err(|error| unavailable("find", &error))?;
        row.map(RunRow::into_run).transpose()
    }

    async fn list(&self, limit: Option<u32>) -> Result<Vec<BulkRun>, BulkRunsError> {
        let sql = sqlx::AssertSqlSafe(format!("{RUN} ORDER BY entry DESC LIMIT ?1"));
        let limit = i64::from(limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP));
        let query = sqlx::query_as::<_, RunRow>(sql).bind(limit);
        let rows = self.database.bounded(query.fetch_all(&self.database.readers)).await;
        let rows = rows.map_err(|error| unavailable("list", &error))?;
        rows.into_iter().map(RunRow::into_run).collect()
    }

    async fn take(&self, id: MessageId, lease: Duration) -> Result<Option<TakenBulkRun>, BulkRunsError> {
        let now = self.database.services.clock.now();
        let until = micros(after(now, lease));
        let taken: Option<(i64, i64, i64, String)> = self
            .database
            .writer
            .call(
                move |connection| {
                    Box::pin(async move {
                        sqlx::query_as(
                            "UPDATE aftercommit_bulk_runs SET token = token + 1, taken_until = ?3 \
                             WHERE id = ?1 AND state = 'going' AND taken_until <= ?2 \
                             RETURNING token, begun_at, stepped_at, document",
                        )
                        .bind(id.uuid())
                        .bind(micros(now))
                        .bind(until)
                        .fetch_optional(connection)
                        .await
                    })
                },
                |_| {},
            )
            .await
            .map_err(|error| unavailable("take", &error))?;
        let taken = taken.map(|(token, begun_at, stepped_at, document)| {
            let row = RunRow {
                begun_at,
                stepped_at,
                document,
            };
            Ok(TakenBulkRun {
                run: row.into_run()?,
                token,
                now,
            })
        });
        taken.transpose()
    }

    async fn put_back(&self, taken: TakenBulkRun) -> Result<bool, BulkRunsError> {
        let now = micros(self.database.services.clock.now());
        let document = document(&taken.run);
        self.database
            .writer
            .call(
                move |connection| {
                    let (state, document) = (taken.run.state.as_str(), document.clone());
                    let (id, token) = (taken.run.id.uuid(), taken.token);
                    Box::pin(async move {
                        // Given back, so that the token is no longer anybody's.
                        let done = sqlx::query(
                            "UPDATE aftercommit_bulk_runs SET token = token + 1, taken_until = 0, state = ?3, \
                               stepped_at = ?4, document = ?5 WHERE id = ?1 AND token = ?2",
                        )
                        .bind(id)
                        .bind(token)
                        .bind(state)
                        .bind(now)
                        .bind(document)
                        .execute(connection)
                        .await?;
                        Ok(done.rows_affected() == 1)
                    })
                },
                |_| {},
            )
            .await
            .map_err(|error| unavailable("put_back", &error))
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, BulkRunsError> {
        let before = micros(before);
        self.database
            .writer
            .call(
                move |connection| {
                    Box::pin(async move {
                        let done = sqlx::query(
                            "DELETE FROM aftercommit_bulk_runs WHERE entry IN (\
                               SELECT entry FROM aftercommit_bulk_runs WHERE stepped_at < ?1 \
                               ORDER BY stepped_at LIMIT ?2)",
                        )
                        .bind(before)
                        .bind(i64::from(limit))
                        .execute(connection)
                        .await?;
                        Ok(done.rows_affected())
                    })
                },
                |_| {},
            )
            .await
            .map_err(|error| unavailable("prune", &error))
    }
}

/// Keeps `new`, or answers the run that goes on in its place.
async fn begin(connection: &mut SqliteConnection, new: &BulkRun) -> Result<Option<RunRow>, sqlx::Error> {
    let id: Uuid = new.id.uuid();
    let request = new.request.key();
    let recent = micros(before(new.begun_at, BEGIN_AGAIN_WITHIN));
    let sql = format!(
        "{RUN} WHERE id = ?1 OR (request = ?2 AND state = 'going' AND stepped_at >= ?3) \
         ORDER BY id = ?1 DESC, entry DESC LIMIT 1"
    );
    let goes_on = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(id)
        .bind(&request)
        .bind(recent)
        .fetch_optional(&mut *connection)
        .await?;
    if goes_on.is_none() {
        sqlx::query(
            "INSERT INTO aftercommit_bulk_runs (id, request, state, begun_at, stepped_at, document) \
             VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
        )
        .bind(id)
        .bind(request)
        .bind(new.state.as_str())
        .bind(micros(new.begun_at))
        .bind(document(new))
        .execute(connection)
        .await?;
    }
    Ok(goes_on)
}

fn document(run: &BulkRun) -> String {
    // Every part is plain data, so this cannot fail.
    serde_json::to_string(run).unwrap_or_default()
}

impl RunRow {
    fn into_run(self) -> Result<BulkRun, BulkRunsError> {
        let run: BulkRun = serde_json::from_str(&self.document).map_err(|error| unavailable("read", &error))?;
        Ok(BulkRun {
            begun_at: timestamp(self.begun_at),
            stepped_at: timestamp(self.stepped_at),
            ..run
        })
    }
}

impl fmt::Debug for SqliteBulkRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteBulkRuns").finish_non_exhaustive()
    }
}

fn unavailable(operation: &'static str, reason: &dyn fmt::Display) -> BulkRunsError {
    BulkRunsError::Unavailable {
        operation,
        reason: reason.to_string(),
    }
}
