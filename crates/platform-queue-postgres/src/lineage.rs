//! Which messages belong together, wherever each of them is.

use aftercommit_domain::contract::{CorrelationId, EventEnvelope, Limits};
use aftercommit_domain::events::{LoggedEvent, OutboxMessage, RawOutboxMessage};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::lineage::{LOOKED_THROUGH, Lineage, LineageError, Relative, Relatives};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;
use sqlx::types::Json;
use sqlx::{Connection as _, FromRow, PgConnection};
use uuid::Uuid;

use crate::queue::PostgresQueue;
use crate::task_inspector::TaskRow;

#[derive(Clone)]
struct Question {
    correlation: Option<String>,
    /// As JSON escapes it, without the quotes.
    escaped: Option<String>,
    /// What a row of the outbox holds somewhere that is to be read at all.
    fragment: Option<String>,
    ids: Vec<Uuid>,
    limit: i64,
}

const OUTBOX: &str = "SELECT kind, body, failure, state = 3 AS aside FROM (\
      SELECT id, kind, body, failure, state, position FROM aftercommit.outbox ORDER BY position DESC LIMIT $3) AS newest \
    WHERE position(convert_to($1::text, 'UTF8') IN body) > 0 OR id = ANY ($2::uuid[]) ORDER BY position";

const EVENTS: &str =
    "SELECT published, place, content FROM aftercommit.event_log_of($1, $2, $3) ORDER BY published, place";

const STATE: &str = "CASE WHEN state = 1 THEN 'running' \
      WHEN state = 2 OR due_at <= aftercommit.clock() THEN 'available' \
      WHEN failure_code IS NULL THEN 'scheduled' ELSE 'retryable' END";

/// By id through the index, by correlation through the newest.
fn unfinished_sql() -> String {
    let columns = format!(
        "id, topic, task, organization_id, project_id, {STATE} AS state, attempts + (state = 1)::integer AS attempts, \
         enqueued_at, due_at, NULL::timestamptz AS finished_at, failure AS reason, failure_code AS code, correlation_id, \
         causation_id, 0::bigint AS ends"
    );
    format!(
        "SELECT {columns} FROM aftercommit.tasks WHERE id = ANY ($2::uuid[]) \
         UNION ALL \
         (SELECT {columns} FROM (SELECT * FROM aftercommit.tasks ORDER BY seq DESC LIMIT $4) AS newest \
         WHERE correlation_id = $1::text AND NOT id = ANY ($2::uuid[]) ORDER BY seq LIMIT $3)"
    )
}

const DEAD: &str = "SELECT id, topic, task, organization_id, project_id, 'dead' AS state, attempts, enqueued_at, \
      NULL::timestamptz AS due_at, died_at AS finished_at, failure ->> 'message' AS reason, code, correlation_id, \
      causation_id, 1::bigint AS ends \
    FROM aftercommit.dead_letters WHERE correlation_id = $1::text OR id = ANY ($2::uuid[]) ORDER BY entry LIMIT $3";

/// One look-up by entry for each row: a join the planner would make by reading all that ever ended.
const ENDED: &str = "SELECT id, topic, task, organization_id, project_id, outcome AS state, attempts, enqueued_at, \
      NULL::timestamptz AS due_at, finished_at, reason, code, correlation_id, causation_id, known.ends \
    FROM aftercommit.task_outcomes_of($1, $2, $3) AS known CROSS JOIN LATERAL (\
      SELECT * FROM aftercommit.task_outcomes AS outcome WHERE outcome.entry = known.entry LIMIT 1) AS ended \
    ORDER BY ended.entry";

/// Whether there is more in the outbox or on the topics than is looked through.
const IS_CUT: &str = "SELECT (SELECT count(*) FROM (SELECT FROM aftercommit.outbox LIMIT $1 + 1) AS newest) > $1 \
    OR (SELECT count(*) FROM (SELECT FROM aftercommit.tasks LIMIT $1 + 1) AS newest) > $1";

const COALESCED: &str = "SELECT id, task FROM aftercommit.coalesced WHERE id = ANY ($1) AND task <> id";

#[derive(FromRow)]
struct TracedRow {
    #[sqlx(flatten)]
    task: TaskRow,
    ends: i64,
}

#[async_trait]
impl Lineage for PostgresQueue {
    async fn find(&self, ids: &[MessageId]) -> Result<Vec<Relative>, LineageError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let question = Question {
            correlation: None,
            escaped: None,
            fragment: None,
            ids: ids.iter().map(|id| id.uuid()).collect(),
            limit: i64::from(u32::MAX),
        };
        let (messages, _) = self.answer(question).await?;
        Ok(Relatives::of(messages, u32::MAX).messages)
    }

    async fn of(&self, correlation: &CorrelationId, limit: u32) -> Result<Relatives, LineageError> {
        // One that says nothing of what it belongs to is the beginning of what is called by its id.
        let root: Option<MessageId> = correlation.as_str().parse().ok();
        let quoted = serde_json::to_string(correlation.as_str()).unwrap_or_default();
        let question = Question {
            correlation: Some(correlation.as_str().to_owned()),
            escaped: quoted
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .map(str::to_owned),
            fragment: Some(quoted),
            ids: root.iter().map(|id| id.uuid()).collect(),
            limit: i64::from(limit) + 1,
        };
        let (mut messages, may_miss) = self.answer(question).await?;
        messages.retain(|message| message.correlation() == correlation.as_str());
        let mut relatives = Relatives::of(messages, limit);
        relatives.is_cut |= may_miss;
        Ok(relatives)
    }

    async fn coalesced(&self, ids: &[MessageId]) -> Result<Vec<(MessageId, MessageId)>, LineageError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let rows: Result<Vec<(Uuid, Uuid)>, _> = self
            .inner
            .console
            .run(move |connection| Box::pin(sqlx::query_as(COALESCED).bind(ids).fetch_all(connection)))
            .await;
        let rows = rows.map_err(|error| LineageError::Unavailable {
            operation: "coalesced",
            reason: error.to_string(),
        })?;
        Ok(rows.into_iter().map(|(id, task)| (id.into(), task.into())).collect())
    }
}

impl PostgresQueue {
    async fn answer(&self, question: Question) -> Result<(Vec<Relative>, bool), LineageError> {
        let unavailable = |reason: String| LineageError::Unavailable {
            operation: "lineage",
            reason,
        };
        let limits = self.inner.database.services().limits;
        let looked = self
            .inner
            .console
            .run(move |connection| Box::pin(at_one_moment(connection, question, limits)))
            .await;
        let (mut messages, rows, is_cut) = looked.map_err(|error| unavailable(error.to_string()))?;
        for TracedRow { task, ends } in rows {
            let task = task.into_details().map_err(|error| unavailable(error.to_string()))?;
            messages.push(Relative::on_topic(task, u32::try_from(ends).unwrap_or(u32::MAX)));
        }
        Ok((messages, is_cut))
    }
}

/// Everything as it was at one moment: of a task that is seen to have ended, what it led to is seen, too.
async fn at_one_moment(
    connection: &mut PgConnection,
    question: Question,
    limits: Limits,
) -> Result<(Vec<Relative>, Vec<TracedRow>, bool), sqlx::Error> {
    // Where a pooler is between, the transaction has begun already.
    if connection.is_in_transaction() {
        let one_moment = sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
        one_moment.execute(&mut *connection).await?;
        return look(connection, question, limits).await;
    }
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let mut transaction = connection.begin_with(begin).await?;
    let looked = look(&mut transaction, question, limits).await?;
    transaction.commit().await?;
    Ok(looked)
}

async fn look(
    connection: &mut PgConnection,
    question: Question,
    limits: Limits,
) -> Result<(Vec<Relative>, Vec<TracedRow>, bool), sqlx::Error> {
    type Waiting = (String, Vec<u8>, Option<Json<Failure>>, bool);
    let most = i64::from(LOOKED_THROUGH);
    let Question {
        correlation,
        escaped,
        fragment,
        ids,
        limit,
    } = question;
    let waiting: Vec<Waiting> = sqlx::query_as(OUTBOX)
        .bind(fragment)
        .bind(&ids)
        .bind(most)
        .fetch_all(&mut *connection)
        .await?;
    let mut messages: Vec<Relative> = waiting
        .into_iter()
        .filter_map(|(kind, body, failure, aside)| {
            let message = OutboxMessage::from_raw(&RawOutboxMessage { kind, body }, &limits).ok()?;
            let reason = failure.map(|Json(failure)| failure.to_string()).unwrap_or_default();
            Some(Relative::in_outbox(message, aside.then_some(reason)))
        })
        .collect();
    let logged: Vec<(Timestamp, Option<i64>, Vec<u8>)> = sqlx::query_as(EVENTS)
        .bind(escaped)
        .bind(&ids)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
    // A row that cannot be read belongs to nothing that could be named.
    messages.extend(logged.into_iter().filter_map(|(published_at, sequence, body)| {
        let mut event = EventEnvelope::decode(&body, &limits).ok()?;
        event.sequence = sequence.and_then(|sequence| u64::try_from(sequence).ok());
        Some(Relative::published(LoggedEvent { event, published_at }))
    }));
    let mut rows: Vec<TracedRow> = sqlx::query_as(sqlx::AssertSqlSafe(unfinished_sql()))
        .bind(correlation.as_deref())
        .bind(&ids)
        .bind(limit)
        .bind(most)
        .fetch_all(&mut *connection)
        .await?;
    for sql in [DEAD, ENDED] {
        let over = sqlx::query_as(sql).bind(correlation.as_deref()).bind(&ids).bind(limit);
        rows.extend(over.fetch_all(&mut *connection).await?);
    }
    let is_cut = sqlx::query_scalar(IS_CUT).bind(most).fetch_one(connection).await?;
    Ok((messages, rows, is_cut))
}
