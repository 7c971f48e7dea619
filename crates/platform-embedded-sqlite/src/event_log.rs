//! The event log: published events, to look up.

use std::fmt;
use std::sync::Arc;

use aftercommit_domain::contract::{EventEnvelope, EventName, Limits, OrganizationId};
use aftercommit_domain::events::{EventCursor, EventFilter, EventLog, EventLogError, LoggedEvent};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::{Timestamp, to_micros};
use async_trait::async_trait;
use sqlx::FromRow;

use crate::columns::{micros, timestamp};
use crate::database::{Inner, LIST_CAP, LIST_DEFAULT};

/// The event log of a database.
#[derive(Clone)]
pub struct SqliteEventLog {
    pub(crate) database: Arc<Inner>,
}

#[derive(FromRow)]
pub(crate) struct EventRow {
    published_at: i64,
    sequence: Option<i64>,
    body: Vec<u8>,
}

// Two statements, because one with an optional name would read the whole log.
const OF_NAME: &str = "SELECT published_at, sequence, body FROM aftercommit_event_log \
    WHERE name = ?1 AND (?2 IS NULL OR organization_id = ?2) AND (?3 IS NULL OR occurred_at >= ?3) \
    AND (?4 IS NULL OR occurred_at <= ?4) ORDER BY entry DESC LIMIT ?5";
const OF_ANY_NAME: &str = "SELECT published_at, sequence, body FROM aftercommit_event_log \
    WHERE ?1 IS NULL AND (?2 IS NULL OR organization_id = ?2) AND (?3 IS NULL OR occurred_at >= ?3) \
    AND (?4 IS NULL OR occurred_at <= ?4) ORDER BY entry DESC LIMIT ?5";

// Rows are added in the order of publishing. Without the row of the last page, which may be forgotten, its time tells.
const PAGE_OF_NAME: &str = "SELECT published_at, sequence, body FROM aftercommit_event_log \
    WHERE name = ?1 AND (?2 IS NULL OR organization_id = ?2) AND (?3 IS NULL OR occurred_at >= ?3) \
    AND (?4 IS NULL OR occurred_at <= ?4) AND (?5 IS NULL OR published_at >= ?5) \
    AND entry > coalesce((SELECT entry FROM aftercommit_event_log WHERE id = ?6), -1) ORDER BY entry LIMIT ?7";
const PAGE_OF_ANY_NAME: &str = "SELECT published_at, sequence, body FROM aftercommit_event_log \
    WHERE ?1 IS NULL AND (?2 IS NULL OR organization_id = ?2) AND (?3 IS NULL OR occurred_at >= ?3) \
    AND (?4 IS NULL OR occurred_at <= ?4) AND (?5 IS NULL OR published_at >= ?5) \
    AND entry > coalesce((SELECT entry FROM aftercommit_event_log WHERE id = ?6), -1) ORDER BY entry LIMIT ?7";

#[async_trait]
impl EventLog for SqliteEventLog {
    async fn record(&self, events: &[EventEnvelope]) -> Result<(), EventLogError> {
        if events.is_empty() {
            return Ok(());
        }
        let events = events.to_vec();
        let now = micros(self.database.services.clock.now());
        self.database
            .writer
            .call(
                move |connection| {
                    let events = events.clone();
                    Box::pin(async move {
                        for event in &events {
                            sqlx::query(
                                "INSERT INTO aftercommit_event_log \
                                   (id, name, organization_id, occurred_at, published_at, sequence, body) \
                                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
                            )
                            .bind(event.id.uuid())
                            .bind(event.name.as_str())
                            .bind(event.tenant.organization_id().map(OrganizationId::as_str))
                            .bind(micros(to_micros(event.occurred_at)))
                            .bind(now)
                            .bind(event.sequence.and_then(|sequence| i64::try_from(sequence).ok()))
                            .bind(event.encode().into_bytes())
                            .execute(&mut *connection)
                            .await?;
                        }
                        Ok(())
                    })
                },
                |_| {},
            )
            .await
            .map_err(|error| unavailable("record", &error))
    }

    async fn list(&self, filter: &EventFilter) -> Result<Vec<LoggedEvent>, EventLogError> {
        let limit = i64::from(filter.limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP));
        let sql = if filter.name.is_some() { OF_NAME } else { OF_ANY_NAME };
        let query = sqlx::query_as(sql)
            .bind(filter.name.as_ref().map(EventName::as_str))
            .bind(filter.organization_id.as_ref().map(OrganizationId::as_str))
            .bind(filter.since.map(micros))
            .bind(filter.until.map(micros))
            .bind(limit);
        let rows: Vec<EventRow> = self
            .database
            .bounded(query.fetch_all(&self.database.readers))
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
        let sql = if filter.name.is_some() {
            PAGE_OF_NAME
        } else {
            PAGE_OF_ANY_NAME
        };
        let query = sqlx::query_as::<_, EventRow>(sql)
            .bind(filter.name.as_ref().map(EventName::as_str))
            .bind(filter.organization_id.as_ref().map(OrganizationId::as_str))
            .bind(filter.since.map(micros))
            .bind(filter.until.map(micros))
            .bind(after.map(|after| micros(after.published_at)))
            .bind(after.map(|after| after.id.uuid()))
            .bind(i64::from(limit.min(LIST_CAP)));
        let rows = self
            .database
            .bounded(query.fetch_all(&self.database.readers))
            .await
            .map_err(|error| unavailable("page", &error))?;
        rows.into_iter()
            .map(|row| row.into_event(&self.database.services.limits))
            .collect()
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, EventLogError> {
        let before = micros(before);
        self.database
            .writer
            .call(
                move |connection| {
                    Box::pin(async move {
                        // They were added in the order they were published, so the oldest are the first.
                        let done = sqlx::query(
                            "DELETE FROM aftercommit_event_log WHERE entry IN (\
                               SELECT entry FROM (SELECT entry, published_at FROM aftercommit_event_log \
                                                  ORDER BY entry LIMIT ?2) \
                               WHERE published_at < ?1)",
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

    async fn find(&self, id: MessageId) -> Result<Option<LoggedEvent>, EventLogError> {
        let row: Option<EventRow> =
            sqlx::query_as("SELECT published_at, sequence, body FROM aftercommit_event_log WHERE id = ?1")
                .bind(id.uuid())
                .fetch_optional(&self.database.readers)
                .await
                .map_err(|error| unavailable("find", &error))?;
        row.map(|row| row.into_event(&self.database.services.limits))
            .transpose()
    }
}

impl EventRow {
    pub(crate) fn into_event(self, limits: &Limits) -> Result<LoggedEvent, EventLogError> {
        let mut event = EventEnvelope::decode(&self.body, limits).map_err(|error| EventLogError::Corrupt {
            reason: error.to_string(),
        })?;
        // The row was written before its position was known.
        event.sequence = self.sequence.and_then(|sequence| u64::try_from(sequence).ok());
        Ok(LoggedEvent {
            event,
            published_at: timestamp(self.published_at),
        })
    }
}

impl fmt::Debug for SqliteEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteEventLog").finish_non_exhaustive()
    }
}

fn unavailable(operation: &'static str, reason: &dyn std::fmt::Display) -> EventLogError {
    EventLogError::Unavailable {
        operation,
        reason: reason.to_string(),
    }
}
