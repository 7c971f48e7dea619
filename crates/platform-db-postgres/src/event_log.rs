//! The event log: published events, by day.

use std::fmt;
use std::sync::Arc;

use aftercommit_domain::contract::{EventEnvelope, EventName, Limits, OrganizationId, ProjectId};
use aftercommit_domain::events::{EventCursor, EventFilter, EventLog, EventLogError, LoggedEvent};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;
use sqlx::FromRow;

use crate::columns::count;
use crate::database::{Inner, LIST_CAP, LIST_DEFAULT};
use crate::trouble::told;

/// Days that are made ahead.
const DAYS_AHEAD: i32 = 7;
/// The most days that are dropped at once.
const DAYS_DROPPED: i32 = 100;

/// The event log of a database.
#[derive(Clone)]
pub struct PostgresEventLog {
    pub(crate) database: Arc<Inner>,
}

#[derive(FromRow)]
struct EventRow {
    published_at: Timestamp,
    sequence: Option<i64>,
    body: Vec<u8>,
}

const RECORD: &str = "INSERT INTO aftercommit.event_log \
       (id, published_at, name, organization_id, project_id, occurred_at, sequence, correlation_id, body) \
     SELECT line.id, aftercommit.clock(), line.name, line.organization, line.project, line.occurred, line.sequence, \
       aftercommit.correlation_of(line.body), line.body \
     FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::bytea[]) \
       AS line (id, name, organization, project, occurred, sequence, body) \
     WHERE NOT EXISTS (SELECT FROM aftercommit.event_log AS known WHERE known.id = line.id)";

// Two statements, because one with an optional name would read the whole log.
const OF_NAME: &str = "SELECT published_at, sequence, body FROM aftercommit.event_log \
     WHERE name = $1 AND ($2::text IS NULL OR organization_id = $2) AND ($3::timestamptz IS NULL OR occurred_at >= $3) \
       AND ($4::timestamptz IS NULL OR occurred_at <= $4) \
     ORDER BY published_at DESC, sequence DESC LIMIT $5";
const OF_ANY_NAME: &str = "SELECT published_at, sequence, body FROM aftercommit.event_log \
     WHERE $1::text IS NULL AND ($2::text IS NULL OR organization_id = $2) AND ($3::timestamptz IS NULL OR occurred_at >= $3) \
       AND ($4::timestamptz IS NULL OR occurred_at <= $4) \
     ORDER BY published_at DESC, sequence DESC LIMIT $5";

/// Whether an event of a page fits, and comes after the place that is the next three parameters. The time alone is what an
/// index finds it by.
const PAGE_FITS: &str = "($2::text IS NULL OR organization_id = $2) AND ($3::timestamptz IS NULL OR occurred_at >= $3) \
    AND ($4::timestamptz IS NULL OR occurred_at <= $4) AND published_at >= coalesce($5, '-infinity'::timestamptz) \
    AND ($5 IS NULL OR (published_at, coalesce(sequence, 0), id) > ($5, $6::bigint, $7::uuid)) \
    ORDER BY published_at, coalesce(sequence, 0), id LIMIT $8";

#[async_trait]
impl EventLog for PostgresEventLog {
    async fn record(&self, events: &[EventEnvelope]) -> Result<(), EventLogError> {
        if events.is_empty() {
            return Ok(());
        }
        // One of each: two of one id in a statement would not see each other.
        let mut seen = std::collections::HashSet::new();
        let events: Vec<&EventEnvelope> = events.iter().filter(|event| seen.insert(event.id)).collect();
        let ids: Vec<uuid::Uuid> = events.iter().map(|event| event.id.uuid()).collect();
        let names: Vec<String> = events.iter().map(|event| event.name.as_str().to_owned()).collect();
        let organizations: Vec<Option<String>> = events
            .iter()
            .map(|event| {
                event
                    .tenant
                    .organization_id()
                    .map(|id| OrganizationId::as_str(id).to_owned())
            })
            .collect();
        let projects: Vec<Option<String>> = events
            .iter()
            .map(|event| event.tenant.project_id().map(|id| ProjectId::as_str(id).to_owned()))
            .collect();
        let occurred: Vec<Timestamp> = events.iter().map(|event| event.occurred_at).collect();
        let sequences: Vec<Option<i64>> = events
            .iter()
            .map(|event| event.sequence.and_then(|sequence| i64::try_from(sequence).ok()))
            .collect();
        let bodies: Vec<Vec<u8>> = events.iter().map(|event| event.encode().into_bytes()).collect();
        self.database
            .engine
            .run(move |connection| {
                Box::pin(async move {
                    // Two recorders of one event take turns; the second finds it.
                    let turns: Vec<i32> = ids.iter().map(|id| (id.as_u128() & 0xfff) as i32).collect();
                    let mut transaction = sqlx::Connection::begin(connection).await?;
                    sqlx::query(
                        "SELECT pg_advisory_xact_lock(1634036838, turn.turn) FROM \
                           (SELECT DISTINCT turn FROM unnest($1::integer[]) AS line (turn) ORDER BY 1) AS turn",
                    )
                    .bind(turns)
                    .execute(&mut *transaction)
                    .await?;
                    sqlx::query(RECORD)
                        .bind(ids)
                        .bind(names)
                        .bind(organizations)
                        .bind(projects)
                        .bind(occurred)
                        .bind(sequences)
                        .bind(bodies)
                        .execute(&mut *transaction)
                        .await?;
                    transaction.commit().await
                })
            })
            .await
            .map_err(|error| unavailable("record", &error))
    }

    async fn list(&self, filter: &EventFilter) -> Result<Vec<LoggedEvent>, EventLogError> {
        let limit = i64::from(filter.limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP));
        let sql = if filter.name.is_some() { OF_NAME } else { OF_ANY_NAME };
        let name = filter.name.as_ref().map(EventName::as_str).map(str::to_owned);
        let organization = filter.organization_id.as_ref().map(|id| id.as_str().to_owned());
        let (since, until) = (filter.since, filter.until);
        let rows: Vec<EventRow> = self
            .database
            .console
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_as(sql)
                        .bind(name)
                        .bind(organization)
                        .bind(since)
                        .bind(until)
                        .bind(limit)
                        .fetch_all(connection)
                        .await
                })
            })
            .await
            .map_err(|error| unavailable("list", &error))?;
        rows.into_iter()
            .map(|row| row.into_event(&self.database.services.limits))
            .collect()
    }

    async fn page(
        &self,
        filter: &EventFilter,
        after: Option<&EventCursor>,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, EventLogError> {
        let (filter, after) = (filter.clone(), after.cloned());
        let of_name = if filter.name.is_some() {
            "name = $1"
        } else {
            "$1::text IS NULL"
        };
        let sql =
            format!("SELECT published_at, sequence, body FROM aftercommit.event_log WHERE {of_name} AND {PAGE_FITS}");
        let rows = self.database.console.run(move |connection| {
            Box::pin(async move {
                sqlx::query_as::<_, EventRow>(sqlx::AssertSqlSafe(sql))
                    .bind(filter.name.as_ref().map(EventName::as_str))
                    .bind(filter.organization_id.as_ref().map(OrganizationId::as_str))
                    .bind(filter.since)
                    .bind(filter.until)
                    .bind(after.as_ref().map(|after| after.published_at))
                    .bind(
                        after
                            .as_ref()
                            .map(|after| i64::try_from(after.sequence).unwrap_or(i64::MAX)),
                    )
                    .bind(after.as_ref().map(|after| after.id.uuid()))
                    .bind(i64::from(limit.min(LIST_CAP)))
                    .fetch_all(connection)
                    .await
            })
        });
        let rows = rows.await.map_err(|error| unavailable("page", &error))?;
        rows.into_iter()
            .map(|row| row.into_event(&self.database.services.limits))
            .collect()
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, EventLogError> {
        let (days, rows): (i64, i64) = self
            .database
            .leases
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query("SELECT aftercommit.event_log_make_days($1)")
                        .bind(DAYS_AHEAD)
                        .execute(&mut *connection)
                        .await?;
                    let days = sqlx::query_scalar("SELECT aftercommit.event_log_drop_days($1, $2)")
                        .bind(before)
                        .bind(DAYS_DROPPED)
                        .fetch_one(&mut *connection)
                        .await?;
                    // The rest of the day that is not over yet.
                    let rows = sqlx::query(
                        "DELETE FROM aftercommit.event_log WHERE (id, published_at) IN (\
                           SELECT id, published_at FROM aftercommit.event_log WHERE published_at < $1 \
                           ORDER BY published_at, sequence LIMIT $2)",
                    )
                    .bind(before)
                    .bind(i64::from(limit))
                    .execute(connection)
                    .await?;
                    Ok((days, i64::try_from(rows.rows_affected()).unwrap_or(i64::MAX)))
                })
            })
            .await
            .map_err(|error| unavailable("prune", &error))?;
        Ok(count(days.saturating_add(rows)))
    }

    async fn find(&self, id: MessageId) -> Result<Option<LoggedEvent>, EventLogError> {
        let row: Option<EventRow> = self
            .database
            .console
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_as(
                        "SELECT published_at, sequence, body FROM aftercommit.event_log WHERE id = $1 LIMIT 1",
                    )
                    .bind(id.uuid())
                    .fetch_optional(connection)
                    .await
                })
            })
            .await
            .map_err(|error| unavailable("find", &error))?;
        row.map(|row| row.into_event(&self.database.services.limits))
            .transpose()
    }
}

impl EventRow {
    fn into_event(self, limits: &Limits) -> Result<LoggedEvent, EventLogError> {
        let mut event = EventEnvelope::decode(&self.body, limits).map_err(|error| EventLogError::Corrupt {
            reason: error.to_string(),
        })?;
        // The row was written before its position was known.
        event.sequence = self.sequence.and_then(|sequence| u64::try_from(sequence).ok());
        Ok(LoggedEvent {
            event,
            published_at: self.published_at,
        })
    }
}

impl fmt::Debug for PostgresEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresEventLog").finish_non_exhaustive()
    }
}

fn unavailable(operation: &'static str, error: &sqlx::Error) -> EventLogError {
    EventLogError::Unavailable {
        operation,
        reason: told(error),
    }
}
