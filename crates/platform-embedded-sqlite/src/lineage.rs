//! Which messages belong together, wherever each of them is.

use aftercommit_domain::contract::{CorrelationId, Limits};
use aftercommit_domain::events::{OutboxMessage, RawOutboxMessage};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::lineage::{LOOKED_THROUGH, Lineage, LineageError, Relative, Relatives};
use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::columns::{attempts, micros};
use crate::event_log::EventRow;
use crate::queue::SqliteQueue;
use crate::task_inspector::TaskRow;

/// What is asked for: `?1` a correlation id, `?2` ids as a JSON list of hexadecimal digits.
struct Question {
    correlation: Option<String>,
    ids: String,
    /// What a row of the outbox holds somewhere that is to be read at all.
    fragment: Option<String>,
    limit: i64,
}

const IDS: &str = "(SELECT unhex(value) FROM json_each(?2))";

fn outbox_sql() -> String {
    format!(
        "SELECT kind, body, CASE WHEN state = 2 THEN coalesce(failure, '') END FROM (\
           SELECT id, kind, body, state, failure, position FROM aftercommit_outbox ORDER BY position DESC LIMIT {LOOKED_THROUGH}) \
         WHERE (?1 IS NOT NULL AND instr(body, CAST(?1 AS BLOB)) > 0) OR id IN {IDS} ORDER BY position"
    )
}

fn events_sql() -> String {
    format!(
        "SELECT published_at, sequence, body FROM aftercommit_event_log \
         WHERE correlation_id = ?1 OR id IN {IDS} ORDER BY entry LIMIT ?3"
    )
}

/// `?4` are those being run, `?5` is the time.
fn unfinished_sql(of_ids: bool) -> String {
    // By id through the index, by correlation through the newest.
    let (rows, wanted) = if of_ids {
        ("aftercommit_tasks".to_owned(), format!("id IN {IDS} AND ?1 IS ?1"))
    } else {
        let newest = format!("(SELECT * FROM aftercommit_tasks ORDER BY seq DESC LIMIT {LOOKED_THROUGH})");
        (newest, "correlation_id = ?1 AND ?2 IS ?2".to_owned())
    };
    format!(
        "SELECT id, topic, task, organization_id, project_id, \
           CASE WHEN seq IN (SELECT value FROM json_each(?4)) THEN 'running' \
                WHEN state = 2 OR due_at <= ?5 THEN 'available' \
                WHEN failure_code IS NULL THEN 'scheduled' ELSE 'retryable' END AS state, \
           attempts + (seq IN (SELECT value FROM json_each(?4))) AS attempts, enqueued_at, due_at, \
           NULL AS finished_at, failure AS reason, failure_code AS code, correlation_id, causation_id, 0 AS ends \
         FROM {rows} WHERE {wanted} ORDER BY seq LIMIT ?3"
    )
}

fn dead_sql() -> String {
    format!(
        "SELECT id, topic, task, organization_id, project_id, 'dead' AS state, attempts, enqueued_at, NULL AS due_at, \
           died_at AS finished_at, failure ->> 'message' AS reason, code, correlation_id, causation_id, 1 AS ends \
         FROM aftercommit_dead_letters WHERE correlation_id = ?1 OR id IN {IDS} ORDER BY entry LIMIT ?3"
    )
}

/// Of a task that ended more than once, how it ended last: the other columns of a group are those of its greatest entry.
fn ended_sql() -> String {
    format!(
        "SELECT id, topic, task, organization_id, project_id, outcome AS state, attempts, enqueued_at, NULL AS due_at, \
           finished_at, reason, code, correlation_id, causation_id, count(*) AS ends, max(entry) AS last \
         FROM aftercommit_task_outcomes WHERE correlation_id = ?1 OR id IN {IDS} GROUP BY id ORDER BY last LIMIT ?3"
    )
}

#[derive(FromRow)]
struct TracedRow {
    #[sqlx(flatten)]
    task: TaskRow,
    ends: i64,
}

#[async_trait]
impl Lineage for SqliteQueue {
    async fn find(&self, ids: &[MessageId]) -> Result<Vec<Relative>, LineageError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let question = Question {
            correlation: None,
            ids: hex_list(ids),
            fragment: None,
            limit: i64::MAX,
        };
        Ok(Relatives::of(self.answer(question).await?.messages, u32::MAX).messages)
    }

    async fn of(&self, correlation: &CorrelationId, limit: u32) -> Result<Relatives, LineageError> {
        // One that says nothing of what it belongs to is the beginning of what is called by its id.
        let root: Option<MessageId> = correlation.as_str().parse().ok();
        let question = Question {
            correlation: Some(correlation.as_str().to_owned()),
            ids: hex_list(root.as_slice()),
            fragment: serde_json::to_string(correlation.as_str()).ok(),
            limit: i64::from(limit) + 1,
        };
        let mut found = self.answer(question).await?;
        found
            .messages
            .retain(|message| message.correlation() == correlation.as_str());
        let may_miss = found.is_cut;
        let mut relatives = Relatives::of(found.messages, limit);
        relatives.is_cut |= may_miss;
        Ok(relatives)
    }

    async fn coalesced(&self, ids: &[MessageId]) -> Result<Vec<(MessageId, MessageId)>, LineageError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let list = hex_list(ids);
        let read = sqlx::query_as::<_, (Uuid, Uuid)>(
            "SELECT id, task FROM aftercommit_coalesced \
             WHERE id IN (SELECT unhex(value) FROM json_each(?1)) AND task <> id",
        )
        .bind(list)
        .fetch_all(&self.database.readers);
        let rows = self.database.bounded(read).await;
        let rows = rows.map_err(|error| LineageError::Unavailable {
            operation: "coalesced",
            reason: error.to_string(),
        })?;
        Ok(rows.into_iter().map(|(id, task)| (id.into(), task.into())).collect())
    }
}

impl SqliteQueue {
    async fn answer(&self, question: Question) -> Result<Relatives, LineageError> {
        let (running, now) = (self.running(), micros(self.database.services.clock.now()));
        let limits = self.database.services.limits;
        let read = async {
            // As it was at one moment: of a task that is seen to have ended, what it led to is seen, too.
            let mut transaction = self.database.readers.begin().await?;
            let looked = look(&mut transaction, &question, &running, now, &limits).await?;
            transaction.rollback().await?;
            Ok(looked)
        };
        let unavailable = |reason: String| LineageError::Unavailable {
            operation: "lineage",
            reason,
        };
        let looked = self.database.bounded(read).await;
        let (mut messages, rows, is_cut) = looked.map_err(|error| unavailable(error.to_string()))?;
        for TracedRow { task, ends } in rows {
            let task = task.into_details().map_err(|error| unavailable(error.to_string()))?;
            messages.push(Relative::on_topic(task, attempts(ends)));
        }
        Ok(Relatives { messages, is_cut })
    }
}

async fn look(
    connection: &mut SqliteConnection,
    question: &Question,
    running: &str,
    now: i64,
    limits: &Limits,
) -> Result<(Vec<Relative>, Vec<TracedRow>, bool), sqlx::Error> {
    let mut messages = Vec::new();
    let waiting: Vec<(String, Vec<u8>, Option<String>)> = sqlx::query_as(sqlx::AssertSqlSafe(outbox_sql()))
        .bind(question.fragment.as_deref())
        .bind(&question.ids)
        .fetch_all(&mut *connection)
        .await?;
    messages.extend(waiting.into_iter().filter_map(|(kind, body, set_aside)| {
        let message = OutboxMessage::from_raw(&RawOutboxMessage { kind, body }, limits).ok()?;
        Some(Relative::in_outbox(message, set_aside))
    }));
    let logged: Vec<EventRow> = sqlx::query_as(sqlx::AssertSqlSafe(events_sql()))
        .bind(question.correlation.as_deref())
        .bind(&question.ids)
        .bind(question.limit)
        .fetch_all(&mut *connection)
        .await?;
    // A row that cannot be read belongs to nothing that could be named.
    let logged = logged.into_iter().filter_map(|row| row.into_event(limits).ok());
    messages.extend(logged.map(Relative::published));
    let mut rows: Vec<TracedRow> = Vec::new();
    for of_ids in [true, false] {
        let unfinished = sqlx::query_as(sqlx::AssertSqlSafe(unfinished_sql(of_ids)))
            .bind(question.correlation.as_deref())
            .bind(&question.ids)
            .bind(question.limit)
            .bind(running)
            .bind(now);
        rows.extend(unfinished.fetch_all(&mut *connection).await?);
    }
    for sql in [dead_sql(), ended_sql()] {
        let over = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(question.correlation.as_deref())
            .bind(&question.ids)
            .bind(question.limit);
        rows.extend(over.fetch_all(&mut *connection).await?);
    }
    let (outbox, tasks): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM aftercommit_outbox LIMIT ?1)), \
           (SELECT count(*) FROM (SELECT 1 FROM aftercommit_tasks LIMIT ?1))",
    )
    .bind(i64::from(LOOKED_THROUGH) + 1)
    .fetch_one(connection)
    .await?;
    let most = i64::from(LOOKED_THROUGH);
    Ok((messages, rows, outbox > most || tasks > most))
}

fn hex_list(ids: &[MessageId]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| Uuid::simple(id.uuid()).to_string()).collect();
    serde_json::to_string(&ids).unwrap_or_else(|_| "[]".into())
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, Row as _};

    use super::*;

    #[tokio::test]
    async fn what_stays_is_found_through_its_index_however_much_there_is() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        crate::migrations::apply(&mut connection, std::path::Path::new(":memory:"))
            .await
            .unwrap();
        for (sql, index) in [
            (events_sql(), "aftercommit_event_log_correlation"),
            (dead_sql(), "aftercommit_dead_letters_correlation"),
            (ended_sql(), "aftercommit_task_outcomes_correlation"),
        ] {
            let explained = format!("EXPLAIN QUERY PLAN {sql}");
            let query = sqlx::query(sqlx::AssertSqlSafe(explained))
                .bind("request 1")
                .bind("[]")
                .bind(10_i64);
            let steps = query.fetch_all(&mut connection).await.unwrap();
            let plan: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
            assert!(
                plan.iter().any(|step| step.contains(index)),
                "{index} is not in {plan:?}"
            );
            assert!(
                !plan.iter().any(|step| step.starts_with("SCAN aftercommit")),
                "{plan:?}"
            );
        }
    }
}
