//! Looking at tasks, wherever they are: unfinished, ended, or given up.

use std::collections::HashSet;
use std::fmt::Display;

use aftercommit_domain::contract::{Json, OrganizationId, ProjectId, TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    InspectionError, TaskDetails, TaskFilter, TaskInspector, TaskPlace, TaskState, TaskSummary, TaskWindow, TopicDepth,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::columns::{attempts, count};
use crate::queue::PostgresQueue;

/// The most rows of one list.
const LIST_CAP: u32 = 1000;
/// The rows of a list when nothing was said.
const LIST_DEFAULT: u32 = 50;

/// A task as all three tables can show it.
#[derive(FromRow)]
pub(crate) struct TaskRow {
    id: Uuid,
    topic: String,
    task: String,
    organization_id: Option<String>,
    project_id: Option<String>,
    state: String,
    attempts: i32,
    enqueued_at: Timestamp,
    due_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    reason: Option<String>,
    code: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<Uuid>,
}

const UNFINISHED: &str = "SELECT * FROM (\
    SELECT id, topic, task, organization_id, project_id, \
      CASE WHEN state = 1 THEN 'running' \
           WHEN state = 3 THEN 'paused' WHEN state = 4 THEN 'cancelled' \
           WHEN state = 2 OR due_at <= aftercommit.clock() THEN 'available' \
           WHEN failure_code IS NULL THEN 'scheduled' ELSE 'retryable' END AS state, \
      attempts + (state = 1)::integer AS attempts, enqueued_at, due_at, \
      NULL::timestamptz AS finished_at, failure AS reason, failure_code AS code, correlation_id, causation_id, seq \
    FROM aftercommit.tasks) AS task \
    WHERE ($1::text IS NULL OR topic = $1) AND ($2::text IS NULL OR state = $2) \
      AND ($3::text IS NULL OR organization_id = $3) \
    ORDER BY seq DESC LIMIT $4";

const ENDED: &str = "SELECT id, topic, task, organization_id, project_id, outcome AS state, attempts, enqueued_at, \
      NULL::timestamptz AS due_at, finished_at, reason, code, correlation_id, causation_id \
    FROM aftercommit.task_outcomes \
    WHERE ($1::text IS NULL OR topic = $1) AND ($2::text IS NULL OR outcome = $2) \
      AND ($3::text IS NULL OR organization_id = $3) \
    ORDER BY entry DESC LIMIT $4";

const DEAD: &str = "SELECT id, topic, task, organization_id, project_id, 'dead' AS state, attempts, enqueued_at, \
      NULL::timestamptz AS due_at, died_at AS finished_at, failure ->> 'message' AS reason, code, correlation_id, \
      causation_id \
    FROM aftercommit.dead_letters \
    WHERE ($1::text IS NULL OR topic = $1) AND ($2::text IS NULL OR 'dead' = $2) \
      AND ($3::text IS NULL OR organization_id = $3) \
    ORDER BY entry DESC LIMIT $4";

const FIND_UNFINISHED: &str = "SELECT id, topic, task, organization_id, project_id, \
      CASE WHEN state = 1 THEN 'running' \
           WHEN state = 3 THEN 'paused' WHEN state = 4 THEN 'cancelled' \
           WHEN state = 2 OR due_at <= aftercommit.clock() THEN 'available' \
           WHEN failure_code IS NULL THEN 'scheduled' ELSE 'retryable' END AS state, \
      attempts + (state = 1)::integer AS attempts, enqueued_at, due_at, \
      NULL::timestamptz AS finished_at, failure AS reason, failure_code AS code, correlation_id, causation_id, body, \
      window_scope, window_opened_at IS NOT NULL AS is_open, \
      (SELECT oldest.id FROM aftercommit.tasks AS oldest WHERE oldest.order_key = task.order_key \
        ORDER BY oldest.seq LIMIT 1) AS oldest \
    FROM aftercommit.tasks AS task WHERE id = $1";

const FIND_ENDED: &str = "SELECT id, topic, task, organization_id, project_id, 'dead' AS state, attempts, enqueued_at, \
      NULL::timestamptz AS due_at, died_at AS finished_at, failure ->> 'message' AS reason, code, correlation_id, \
      causation_id \
    FROM aftercommit.dead_letters WHERE id = $1 \
    UNION ALL \
    (SELECT id, topic, task, organization_id, project_id, outcome, attempts, enqueued_at, NULL, finished_at, reason, code, \
      correlation_id, causation_id \
    FROM aftercommit.task_outcomes WHERE id = $1 ORDER BY entry DESC LIMIT 1) \
    LIMIT 1";

/// Each kind from its own index; none reads a body. A consumer that ended counts until its lease is over.
const DEPTHS: &str = "SELECT topic, sum(available)::bigint, sum(scheduled)::bigint, sum(running)::bigint, sum(aside)::bigint, \
      (SELECT count(*) FROM aftercommit.consumers AS consumer \
        WHERE consumer.topic = part.topic AND consumer.lease_until > aftercommit.clock()) FROM (\
      SELECT topic, count(*) AS available, 0 AS scheduled, 0 AS running, 0 AS aside FROM aftercommit.tasks \
        WHERE state = 0 AND lost_runs < 2 AND due_at <= aftercommit.clock() GROUP BY topic \
      UNION ALL SELECT topic, 0, count(*), 0, 0 FROM aftercommit.tasks \
        WHERE state = 0 AND lost_runs < 2 AND due_at > aftercommit.clock() GROUP BY topic \
      UNION ALL SELECT topic, count(*) FILTER (WHERE due_at <= aftercommit.clock()), \
        count(*) FILTER (WHERE due_at > aftercommit.clock()), 0, 0 FROM aftercommit.tasks \
        WHERE state = 0 AND lost_runs >= 2 GROUP BY topic \
      UNION ALL SELECT topic, count(*), 0, 0, 0 FROM aftercommit.tasks WHERE state = 2 GROUP BY topic \
      UNION ALL SELECT topic, 0, 0, count(*), 0 FROM aftercommit.tasks WHERE state = 1 GROUP BY topic \
      UNION ALL SELECT topic, 0, 0, 0, count(*) FROM aftercommit.tasks WHERE state = 3 GROUP BY topic\
    ) AS part GROUP BY topic ORDER BY topic";

#[async_trait]
impl TaskInspector for PostgresQueue {
    async fn list(&self, filter: &TaskFilter) -> Result<Vec<TaskSummary>, InspectionError> {
        let limit = filter.limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP);
        let filter = filter.clone();
        let rows = self
            .inner
            .console
            .run(move |connection| Box::pin(list(connection, filter, limit)))
            .await
            .map_err(|error| unavailable("list", &error))?;
        let mut shown = HashSet::new();
        let mut rows: Vec<TaskRow> = rows.into_iter().filter(|row| shown.insert(row.id)).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.enqueued_at));
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        rows.into_iter().map(TaskRow::into_summary).collect()
    }

    async fn find(&self, id: MessageId) -> Result<Option<TaskDetails>, InspectionError> {
        let found = self
            .inner
            .console
            .run(move |connection| Box::pin(find(connection, id.uuid())))
            .await
            .map_err(|error| unavailable("find", &error))?;
        let Some((row, kept)) = found else {
            return Ok(None);
        };
        let mut details = row.into_details()?;
        if let Some(Kept { body, place }) = kept {
            details.payload = self.payload(&body);
            details.place = place;
        }
        Ok(Some(details))
    }

    async fn depths(&self) -> Result<Vec<TopicDepth>, InspectionError> {
        let rows: Vec<(String, i64, i64, i64, i64, i64)> = self
            .inner
            .console
            .run(|connection| Box::pin(async move { sqlx::query_as(DEPTHS).fetch_all(connection).await }))
            .await
            .map_err(|error| unavailable("count", &error))?;
        rows.into_iter()
            .map(|(topic, available, scheduled, running, paused, consumers)| {
                Ok(TopicDepth {
                    topic: TopicName::new(topic).map_err(|error| unavailable("count", &error))?,
                    available: count(available),
                    scheduled: count(scheduled),
                    running: count(running),
                    paused: count(paused),
                    consumers: Some(count(consumers)),
                })
            })
            .collect()
    }
}

/// What is kept of an unfinished task besides what a list shows.
struct Kept {
    body: Vec<u8>,
    place: TaskPlace,
}

impl PostgresQueue {
    fn payload(&self, body: &[u8]) -> Option<Json> {
        let task = TaskEnvelope::decode(body, &self.inner.database.services().limits).ok()?;
        Some(task.payload)
    }
}

/// Unfinished before ended: a task that was put back is shown where it is now.
async fn list(connection: &mut PgConnection, filter: TaskFilter, limit: u32) -> Result<Vec<TaskRow>, sqlx::Error> {
    let mut rows = Vec::new();
    for sql in [UNFINISHED, DEAD, ENDED] {
        let part: Vec<TaskRow> = sqlx::query_as(sql)
            .bind(filter.topic.as_ref().map(TopicName::as_str))
            .bind(filter.state.map(state_name))
            .bind(filter.organization_id.as_ref().map(OrganizationId::as_str))
            .bind(i64::from(limit))
            .fetch_all(&mut *connection)
            .await?;
        rows.extend(part);
    }
    Ok(rows)
}

async fn find(connection: &mut PgConnection, id: Uuid) -> Result<Option<(TaskRow, Option<Kept>)>, sqlx::Error> {
    #[derive(FromRow)]
    struct Unfinished {
        #[sqlx(flatten)]
        row: TaskRow,
        body: Vec<u8>,
        window_scope: Option<String>,
        is_open: bool,
        oldest: Option<Uuid>,
    }
    let unfinished: Option<Unfinished> = sqlx::query_as(FIND_UNFINISHED)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(found) = unfinished {
        let window = found.window_scope.as_deref();
        let kept = Kept {
            place: TaskPlace {
                behind: found.oldest.filter(|oldest| *oldest != id).map(MessageId::from),
                window: window.map(|scope| TaskWindow::of_scope(scope, found.is_open)),
            },
            body: found.body,
        };
        return Ok(Some((found.row, Some(kept))));
    }
    let ended: Option<TaskRow> = sqlx::query_as(FIND_ENDED).bind(id).fetch_optional(connection).await?;
    Ok(ended.map(|row| (row, None)))
}

impl TaskRow {
    /// Everything but the payload.
    pub(crate) fn into_details(self) -> Result<TaskDetails, InspectionError> {
        let (code, correlation_id) = (self.code.clone(), self.correlation_id.clone());
        let causation_id = self.causation_id.map(MessageId::from);
        Ok(TaskDetails {
            summary: self.into_summary()?,
            code,
            correlation_id,
            causation_id,
            payload: None,
            place: TaskPlace::default(),
        })
    }

    fn into_summary(self) -> Result<TaskSummary, InspectionError> {
        let corrupt = |error: &dyn Display| unavailable("read", &error);
        let state = state_named(&self.state).ok_or_else(|| corrupt(&format!("{} is no state", self.state)))?;
        let organization = self.organization_id.map(OrganizationId::new).transpose();
        let project = self.project_id.map(ProjectId::new).transpose();
        let waits = matches!(state, TaskState::Scheduled | TaskState::Retryable);
        Ok(TaskSummary {
            id: self.id.into(),
            topic: TopicName::new(self.topic).map_err(|error| corrupt(&error))?,
            task: self.task,
            organization_id: organization.map_err(|error| corrupt(&error))?,
            project_id: project.map_err(|error| corrupt(&error))?,
            state,
            attempts: attempts(self.attempts),
            enqueued_at: self.enqueued_at,
            due_at: self.due_at.filter(|_| waits),
            finished_at: self.finished_at,
            reason: self.reason.filter(|reason| !reason.is_empty()),
        })
    }
}

const STATES: [(TaskState, &str); 9] = [
    (TaskState::Scheduled, "scheduled"),
    (TaskState::Available, "available"),
    (TaskState::Running, "running"),
    (TaskState::Retryable, "retryable"),
    (TaskState::Paused, "paused"),
    (TaskState::Completed, "completed"),
    (TaskState::Skipped, "skipped"),
    (TaskState::Cancelled, "cancelled"),
    (TaskState::Dead, "dead"),
];

fn state_name(state: TaskState) -> &'static str {
    STATES
        .iter()
        .find(|(named, _)| *named == state)
        .map_or("", |(_, name)| name)
}

pub(crate) fn state_named(name: &str) -> Option<TaskState> {
    STATES.iter().find(|(_, named)| *named == name).map(|(state, _)| *state)
}

fn unavailable(operation: &'static str, reason: &dyn Display) -> InspectionError {
    InspectionError::Unavailable {
        operation,
        reason: reason.to_string(),
    }
}
