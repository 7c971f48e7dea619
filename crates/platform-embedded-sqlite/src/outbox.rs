//! The outbox: what committed transactions decided, until the relay has published it.

mod leases;
mod message_writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::events::{
    Claim, Claimed, LeaseToken, Marked, Outbox, OutboxError, OutboxStats, QuarantinedRow, RawOutboxMessage, Release,
};
use aftercommit_domain::time::after;
use async_trait::async_trait;
use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};
use tokio::time::sleep;

use crate::columns::{Trouble, attempts, count, json_list, micros, timestamp, trouble};
use crate::database::Inner;
use crate::writer::WriteError;

pub(crate) use leases::OutboxLeases;
pub use message_writer::{SqliteOutboxWriter, create_outbox_writer};

/// The outbox of a database, as its relay sees it.
#[derive(Clone)]
pub struct SqliteOutbox {
    pub(crate) database: Arc<Inner>,
}

#[derive(FromRow)]
struct OutboxRow {
    position: i64,
    kind: String,
    attempts: i64,
    written_at: i64,
    ordering: Option<String>,
    body: Vec<u8>,
}

/// In write order. A row is left out while a row of its ordering is claimed, or an earlier one waits for its retry.
const CLAIM_SQL: &str = "SELECT o.position, o.kind, o.attempts, o.written_at, o.ordering, o.body \
     FROM aftercommit_outbox o NOT INDEXED \
     WHERE (o.state = 0 OR (o.state = 1 AND o.due_at <= ?1)) \
       AND o.position NOT IN (SELECT value FROM json_each(?2)) \
       AND (o.ordering IS NULL OR (\
         o.ordering NOT IN (SELECT value FROM json_each(?3)) \
         AND NOT EXISTS (SELECT 1 FROM aftercommit_outbox e \
           WHERE e.ordering = o.ordering AND e.state = 1 AND e.position < o.position AND e.due_at > ?1))) \
     ORDER BY o.position LIMIT ?4";

/// A row that waits behind another does not count: it would be due again and again for nothing.
const NEXT_DUE: &str = "SELECT o.due_at FROM aftercommit_outbox o INDEXED BY aftercommit_outbox_due \
     WHERE o.state = 1 \
       AND o.position NOT IN (SELECT value FROM json_each(?1)) \
       AND (o.ordering IS NULL OR (\
         o.ordering NOT IN (SELECT value FROM json_each(?2)) \
         AND NOT EXISTS (SELECT 1 FROM aftercommit_outbox e \
           WHERE e.ordering = o.ordering AND e.state = 1 AND e.position < o.position AND e.due_at > o.due_at))) \
     ORDER BY o.due_at LIMIT 1";

/// The first of each state by its index; sorting both together would read every row.
const OLDEST: &str = "SELECT (SELECT written_at FROM aftercommit_outbox WHERE position = (\
    SELECT min(position) FROM (\
      SELECT min(position) AS position FROM aftercommit_outbox WHERE state = 0 \
      UNION ALL SELECT min(position) FROM aftercommit_outbox WHERE state = 1)))";

#[derive(Serialize)]
struct Waiting {
    position: i64,
    state: i64,
    due_at: i64,
    counted: i64,
    failure: String,
}

#[async_trait]
impl Outbox for SqliteOutbox {
    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        let leases = &self.database.outbox_leases;
        let _turn = leases.claiming.lock().await;
        leases.note_look(&self.database.relay);
        let (positions, orderings) = leases.held();
        let now = self.database.services.clock.now();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let claims = &self.database.claims;
        let read = async {
            let mut connection = claims.turn().await?;
            let query = sqlx::query_as(CLAIM_SQL)
                .bind(micros(now))
                .bind(positions)
                .bind(orderings)
                .bind(limit);
            claims.bounded(query.fetch_all(&mut *connection)).await
        };
        let rows: Vec<OutboxRow> = read.await.map_err(|error| outbox_error("claim", &error))?;
        let token = self.database.topics.next_token();
        let expires_at = micros(after(now, lease));
        Ok(rows
            .into_iter()
            .map(|row| {
                leases.take(row.position, token, expires_at, row.ordering);
                Claimed {
                    claim: Claim {
                        position: row.position,
                        token: LeaseToken(token),
                    },
                    attempts: attempts(row.attempts),
                    written_at: timestamp(row.written_at),
                    message: RawOutboxMessage {
                        kind: row.kind,
                        body: row.body,
                    },
                }
            })
            .collect())
    }

    async fn mark_published(&self, claims: &[Claim]) -> Result<Marked, OutboxError> {
        let (held, marked) = self.database.outbox_leases.begin_writing(claims.iter().copied());
        if held.is_empty() {
            return Ok(marked);
        }
        let positions = json_list(held.iter().map(|claim| claim.position));
        let now = micros(self.database.services.clock.now());
        self.write_back("mark published", held, move |connection| {
            let positions = positions.clone();
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO aftercommit_event_log \
                       (id, name, organization_id, occurred_at, published_at, sequence, body) \
                     SELECT o.id, o.name, o.organization_id, o.occurred_at, ?2, o.position, o.body \
                     FROM json_each(?1) p CROSS JOIN aftercommit_outbox o ON o.position = p.value \
                     WHERE o.name IS NOT NULL ON CONFLICT (id) DO NOTHING",
                )
                .bind(&positions)
                .bind(now)
                .execute(&mut *connection)
                .await?;
                sqlx::query("DELETE FROM aftercommit_outbox WHERE position IN (SELECT value FROM json_each(?1))")
                    .bind(positions)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await?;
        Ok(marked)
    }

    async fn release(&self, claims: Vec<(Claim, Release)>) -> Result<Marked, OutboxError> {
        let now = self.database.services.clock.now();
        let leases = &self.database.outbox_leases;
        let (held, marked) = leases.begin_writing(claims.iter().map(|(claim, _)| *claim));
        let mut waiting = Vec::new();
        for (claim, release) in claims {
            if !held.contains(&claim) {
                continue;
            }
            match release {
                // Its row was never changed.
                Release::Untouched => {}
                Release::Retry {
                    after: wait,
                    counted,
                    failure,
                } => waiting.push(Waiting {
                    position: claim.position,
                    state: 1,
                    due_at: micros(after(now, wait)),
                    counted: i64::from(counted),
                    failure: failure.to_string(),
                }),
                Release::Quarantine { failure } => waiting.push(Waiting {
                    position: claim.position,
                    state: 2,
                    due_at: 0,
                    counted: 1,
                    failure: failure.to_string(),
                }),
            }
        }
        if waiting.is_empty() {
            leases.end_writing(&held, true);
            self.database.relay.bump();
            return Ok(marked);
        }
        let waiting = serde_json::to_string(&waiting).unwrap_or_default();
        self.write_back("release", held, move |connection| {
            let waiting = waiting.clone();
            Box::pin(async move {
                sqlx::query(
                    "UPDATE aftercommit_outbox SET state = w.value ->> 'state', due_at = w.value ->> 'due_at', \
                       attempts = attempts + (w.value ->> 'counted'), failure = w.value ->> 'failure' \
                     FROM json_each(?1) w WHERE position = w.value ->> 'position'",
                )
                .bind(waiting)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await?;
        Ok(marked)
    }

    async fn rescue_expired(&self) -> Result<u64, OutboxError> {
        let now = micros(self.database.services.clock.now());
        let freed = self.database.outbox_leases.free_expired(now);
        if freed > 0 {
            self.database.relay.bump();
        }
        Ok(freed)
    }

    async fn wait(&self, idle: Duration) {
        let seen = self.database.outbox_leases.last_look();
        let next_due = self.next_due();
        let waiting = async {
            // Without an answer there is still the idle time.
            let Ok(Some(due_at)) = next_due.await else {
                return std::future::pending().await;
            };
            let left = due_at.saturating_sub(micros(self.database.services.clock.now()));
            sleep(Duration::from_micros(u64::try_from(left).unwrap_or(0))).await;
        };
        tokio::select! {
            biased;
            () = self.database.relay.changed(seen) => {}
            () = waiting => {}
            () = sleep(idle) => {}
        }
    }

    async fn stats(&self) -> Result<OutboxStats, OutboxError> {
        let read = async {
            let mut connection = self.database.readers.acquire().await?;
            let by_state: Vec<(i64, i64)> =
                sqlx::query_as("SELECT state, count(*) FROM aftercommit_outbox GROUP BY state")
                    .fetch_all(&mut *connection)
                    .await?;
            let oldest: Option<i64> = sqlx::query_scalar(OLDEST).fetch_one(&mut *connection).await?;
            Ok::<_, sqlx::Error>((by_state, oldest))
        };
        let (by_state, oldest) = self
            .database
            .bounded(read)
            .await
            .map_err(|error| outbox_error("count", &error))?;
        let of = |wanted: &[i64]| {
            let counts = by_state.iter().filter(|(state, _)| wanted.contains(state));
            counts.map(|(_, rows)| count(*rows)).sum::<u64>()
        };
        let claimed = self.database.outbox_leases.len();
        Ok(OutboxStats {
            waiting: of(&[0, 1]).saturating_sub(claimed),
            claimed,
            quarantined: of(&[2]),
            oldest: oldest.map(timestamp),
        })
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<QuarantinedRow>, OutboxError> {
        let read = async {
            let mut connection = self.database.readers.acquire().await?;
            sqlx::query_as(
                "SELECT written_at, kind, body, failure FROM aftercommit_outbox WHERE state = 2 \
                 ORDER BY position DESC LIMIT ?1",
            )
            .bind(limit)
            .fetch_all(&mut *connection)
            .await
        };
        let rows: Vec<(i64, String, Vec<u8>, Option<String>)> = self
            .database
            .bounded(read)
            .await
            .map_err(|error| outbox_error("list", &error))?;
        let aside = |(written_at, kind, body, failure): (i64, String, Vec<u8>, Option<String>)| QuarantinedRow {
            written_at: timestamp(written_at),
            message: RawOutboxMessage { kind, body },
            reason: failure.unwrap_or_default(),
        };
        Ok(rows.into_iter().map(aside).collect())
    }
}

impl SqliteOutbox {
    /// Writes rows back, and frees their leases once that is durable.
    async fn write_back<F>(&self, operation: &'static str, held: Vec<Claim>, run: F) -> Result<(), OutboxError>
    where
        F: for<'c> Fn(&'c mut SqliteConnection) -> futures::future::BoxFuture<'c, Result<(), sqlx::Error>>
            + Send
            + 'static,
    {
        let leases = Arc::clone(&self.database.outbox_leases);
        let relay = Arc::clone(&self.database.relay);
        self.database
            .writer
            .call(run, move |result| {
                leases.end_writing(&held, result.is_ok());
                // A row waits now, or those behind it are free.
                relay.bump();
            })
            .await
            .map_err(|error| write_error(operation, error))
    }

    async fn next_due(&self) -> Result<Option<i64>, sqlx::Error> {
        let claims = &self.database.claims;
        let mut connection = claims.turn().await?;
        let (positions, orderings) = self.database.outbox_leases.held();
        let query = sqlx::query_scalar(NEXT_DUE).bind(positions).bind(orderings);
        claims.bounded(query.fetch_optional(&mut *connection)).await
    }
}

impl fmt::Debug for SqliteOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOutbox").finish_non_exhaustive()
    }
}

fn outbox_error(operation: &'static str, error: &sqlx::Error) -> OutboxError {
    let reason = error.to_string();
    match trouble(error) {
        Trouble::Away => OutboxError::Unavailable { operation, reason },
        Trouble::Refused | Trouble::Duplicate => OutboxError::Refused { operation, reason },
    }
}

fn write_error(operation: &'static str, error: WriteError) -> OutboxError {
    match error {
        WriteError::Unavailable(reason) | WriteError::Unknown(reason) => OutboxError::Unavailable { operation, reason },
        WriteError::Refused(reason) => OutboxError::Refused { operation, reason },
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;

    #[tokio::test]
    async fn a_claim_reads_the_rows_in_write_order_without_sorting() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(include_str!("../migrations/0001_rail.sql"))
            .execute(&mut connection)
            .await
            .unwrap();
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {CLAIM_SQL}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql)
            .bind(1_i64)
            .bind("[]")
            .bind("[]")
            .bind(10_i64)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let steps: Vec<&str> = plan.iter().map(|(_, _, _, step)| step.as_str()).collect();
        assert_eq!(steps[0], "SCAN o");
        assert!(
            steps.contains(&"SEARCH e USING INDEX aftercommit_outbox_waiting (ordering=? AND position<?)"),
            "{steps:?}"
        );
        assert!(steps.iter().all(|step| !step.contains("B-TREE")), "{steps:?}");
    }
}
