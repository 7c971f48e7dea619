//! What operators ordered for many.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::bulk::{BEGIN_AGAIN_WITHIN, BegunBulkRun, BulkRun, BulkRuns, BulkRunsError, TakenBulkRun};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;
use sqlx::{FromRow, PgConnection};

use crate::columns::interval;
use crate::database::{Inner, LIST_CAP, LIST_DEFAULT};
use crate::trouble::told;

/// The bulk runs of a database.
#[derive(Clone)]
pub struct PostgresBulkRuns {
    pub(crate) database: Arc<Inner>,
}

#[derive(FromRow)]
struct RunRow {
    begun_at: Timestamp,
    stepped_at: Timestamp,
    document: String,
}

const RUN: &str = "SELECT begun_at, stepped_at, document FROM aftercommit.bulk_runs";

#[async_trait]
impl BulkRuns for PostgresBulkRuns {
    async fn begin(&self, run: BulkRun) -> Result<BegunBulkRun, BulkRunsError> {
        let asked = run.clone();
        let begun = self
            .database
            .engine
            .run(move |connection| Box::pin(async move { begin(connection, run).await }))
            .await;
        match begun.map_err(|error| unavailable("begin", &error))? {
            Begun::New(run) => Ok(BegunBulkRun {
                run: *run,
                goes_on: false,
            }),
            Begun::GoesOn(row) => {
                let run = row.into_run()?;
                if run.id == asked.id && run.request != asked.request {
                    return Err(BulkRunsError::OtherRequest { id: run.id });
                }
                Ok(BegunBulkRun { run, goes_on: true })
            }
        }
    }

    async fn find(&self, id: MessageId) -> Result<Option<BulkRun>, BulkRunsError> {
        let sql = format!("{RUN} WHERE id = $1");
        let row = self.database.console.run(move |connection| {
            Box::pin(async move {
                sqlx::query_as::<_, RunRow>(sqlx::AssertSqlSafe(sql))
                    .bind(id.uuid())
                    .fetch_optional(connection)
                    .await
            })
        });
        let row = row.await.map_err(|error| unavailable("find", &error))?;
        row.map(RunRow::into_run).transpose()
    }

    async fn list(&self, limit: Option<u32>) -> Result<Vec<BulkRun>, BulkRunsError> {
        let sql = format!("{RUN} ORDER BY entry DESC LIMIT $1");
        let rows = self.database.console.run(move |connection| {
            Box::pin(async move {
                sqlx::query_as::<_, RunRow>(sqlx::AssertSqlSafe(sql))
                    .bind(i64::from(limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP)))
                    .fetch_all(connection)
                    .await
            })
        });
        let rows = rows.await.map_err(|error| unavailable("list", &error))?;
        rows.into_iter().map(RunRow::into_run).collect()
    }

    async fn take(&self, id: MessageId, lease: Duration) -> Result<Option<TakenBulkRun>, BulkRunsError> {
        type Taken = (i64, Timestamp, Timestamp, Timestamp, String);
        let taken = self.database.engine.run(move |connection| {
            Box::pin(async move {
                sqlx::query_as::<_, Taken>(
                    "UPDATE aftercommit.bulk_runs SET token = token + 1, taken_until = aftercommit.clock() + $2 \
                     WHERE id = $1 AND state = 'going' AND taken_until <= aftercommit.clock() \
                     RETURNING token, aftercommit.clock(), begun_at, stepped_at, document",
                )
                .bind(id.uuid())
                .bind(interval(lease))
                .fetch_optional(connection)
                .await
            })
        });
        let taken = taken.await.map_err(|error| unavailable("take", &error))?;
        let taken = taken.map(|(token, now, begun_at, stepped_at, document)| {
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
        let done = self.database.engine.run(move |connection| {
            Box::pin(async move {
                // Given back, so that the token is no longer anybody's.
                let done = sqlx::query(
                    "UPDATE aftercommit.bulk_runs SET token = token + 1, taken_until = '-infinity', state = $3, \
                       stepped_at = aftercommit.clock(), document = $4 WHERE id = $1 AND token = $2",
                )
                .bind(taken.run.id.uuid())
                .bind(taken.token)
                .bind(taken.run.state.as_str())
                .bind(document(&taken.run))
                .execute(connection)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        });
        done.await.map_err(|error| unavailable("put_back", &error))
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, BulkRunsError> {
        let forgotten = self.database.leases.run(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(
                    "DELETE FROM aftercommit.bulk_runs WHERE entry IN (\
                       SELECT entry FROM aftercommit.bulk_runs WHERE stepped_at < $1 ORDER BY stepped_at LIMIT $2)",
                )
                .bind(before)
                .bind(i64::from(limit))
                .execute(connection)
                .await?;
                Ok(done.rows_affected())
            })
        });
        forgotten.await.map_err(|error| unavailable("prune", &error))
    }
}

enum Begun {
    New(Box<BulkRun>),
    GoesOn(RunRow),
}

/// Keeps `run`, or answers the run that goes on in its place. One at a time.
async fn begin(connection: &mut PgConnection, run: BulkRun) -> Result<Begun, sqlx::Error> {
    let mut transaction = sqlx::Connection::begin(connection).await?;
    sqlx::query("SELECT pg_advisory_xact_lock(1634036839)")
        .execute(&mut *transaction)
        .await?;
    let request = run.request.key();
    let sql = format!(
        "{RUN} WHERE id = $1 OR (request = $2 AND state = 'going' AND stepped_at >= aftercommit.clock() - $3::interval) \
         ORDER BY (id = $1) DESC, entry DESC LIMIT 1"
    );
    let goes_on: Option<RunRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(run.id.uuid())
        .bind(&request)
        .bind(interval(BEGIN_AGAIN_WITHIN))
        .fetch_optional(&mut *transaction)
        .await?;
    let begun = if let Some(row) = goes_on {
        Begun::GoesOn(row)
    } else {
        let now: Timestamp = sqlx::query_scalar("SELECT aftercommit.clock()")
            .fetch_one(&mut *transaction)
            .await?;
        let run = BulkRun {
            begun_at: now,
            stepped_at: now,
            next_at: now,
            ..run
        };
        sqlx::query(
            "INSERT INTO aftercommit.bulk_runs (id, request, state, begun_at, stepped_at, document) \
             VALUES ($1, $2, $3, $4, $4, $5)",
        )
        .bind(run.id.uuid())
        .bind(request)
        .bind(run.state.as_str())
        .bind(now)
        .bind(document(&run))
        .execute(&mut *transaction)
        .await?;
        Begun::New(Box::new(run))
    };
    transaction.commit().await?;
    Ok(begun)
}

fn document(run: &BulkRun) -> String {
    // Every part is plain data, so this cannot fail.
    serde_json::to_string(run).unwrap_or_default()
}

impl RunRow {
    fn into_run(self) -> Result<BulkRun, BulkRunsError> {
        let run: BulkRun = serde_json::from_str(&self.document).map_err(|error| BulkRunsError::Unavailable {
            operation: "read",
            reason: error.to_string(),
        })?;
        Ok(BulkRun {
            begun_at: self.begun_at,
            stepped_at: self.stepped_at,
            ..run
        })
    }
}

impl fmt::Debug for PostgresBulkRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresBulkRuns").finish_non_exhaustive()
    }
}

fn unavailable(operation: &'static str, error: &sqlx::Error) -> BulkRunsError {
    BulkRunsError::Unavailable {
        operation,
        reason: told(error),
    }
}
