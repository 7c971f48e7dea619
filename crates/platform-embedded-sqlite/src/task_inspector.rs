//! Looking at tasks, wherever they are: unfinished, ended, or given up.

use std::collections::{HashMap, HashSet};

use aftercommit_domain::contract::{Json, OrganizationId, ProjectId, TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    InspectionError, TaskDetails, TaskFilter, TaskInspector, TaskPlace, TaskState, TaskSummary, TaskWindow, TopicDepth,
};
use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::columns::{attempts, count, json_list, micros, timestamp};
use crate::database::{LIST_CAP, LIST_DEFAULT};
use crate::queue::SqliteQueue;

/// A task as all three tables can show it.
#[derive(FromRow)]
pub(crate) struct TaskRow {
    pub(crate) id: Uuid,
    topic: String,
    task: String,
    organization_id: Option<String>,
    project_id: Option<String>,
    state: String,
    attempts: i64,
    enqueued_at: i64,
    due_at: Option<i64>,
    finished_at: Option<i64>,
    reason: Option<String>,
    code: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<Uuid>,
}

/// Unfinished ones. `?5` are those being run, `?6` is the time.
const UNFINISHED: &str = "SELECT * FROM (\
    SELECT id, topic, task, organization_id, project_id, \
      CASE WHEN seq IN (SELECT value FROM json_each(?5)) THEN 'running' \
           WHEN state = 3 THEN 'paused' \
           WHEN state = 2 OR due_at <= ?6 THEN 'available' \
           WHEN failure_code IS NULL THEN 'scheduled' ELSE 'retryable' END AS state, \
      attempts + (seq IN (SELECT value FROM json_each(?5))) AS attempts, enqueued_at, due_at, \
      NULL AS finished_at, failure AS reason, failure_code AS code, correlation_id, causation_id, seq \
    FROM aftercommit_tasks) \
    WHERE (?1 IS NULL OR topic = ?1) AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR organization_id = ?3) \
      AND (?7 IS NULL OR id = ?7) \
    ORDER BY seq DESC LIMIT ?4";

const ENDED: &str = "SELECT id, topic, task, organization_id, project_id, outcome AS state, attempts, enqueued_at, \
      NULL AS due_at, finished_at, reason, code, correlation_id, causation_id \
    FROM aftercommit_task_outcomes \
    WHERE (?1 IS NULL OR topic = ?1) AND (?2 IS NULL OR outcome = ?2) AND (?3 IS NULL OR organization_id = ?3) \
    ORDER BY entry DESC LIMIT ?4";

const DEAD: &str = "SELECT id, topic, task, organization_id, project_id, 'dead' AS state, attempts, enqueued_at, \
      NULL AS due_at, died_at AS finished_at, failure ->> 'message' AS reason, code, correlation_id, causation_id \
    FROM aftercommit_dead_letters \
    WHERE (?1 IS NULL OR topic = ?1) AND (?2 IS NULL OR 'dead' = ?2) AND (?3 IS NULL OR organization_id = ?3) \
    ORDER BY entry DESC LIMIT ?4";

#[async_trait]
impl TaskInspector for SqliteQueue {
    async fn list(&self, filter: &TaskFilter) -> Result<Vec<TaskSummary>, InspectionError> {
        let limit = filter.limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP);
        let (running, now) = (self.running(), micros(self.database.services.clock.now()));
        let read = async {
            let mut connection = self.database.readers.acquire().await?;
            let mut rows: Vec<TaskRow> = Vec::new();
            // Unfinished before ended: a task that was put back is shown where it is now.
            for sql in [UNFINISHED, DEAD, ENDED] {
                let mut query = sqlx::query_as(sql)
                    .bind(filter.topic.as_ref().map(TopicName::as_str))
                    .bind(filter.state.map(state_name))
                    .bind(filter.organization_id.as_ref().map(OrganizationId::as_str))
                    .bind(i64::from(limit));
                if sql == UNFINISHED {
                    query = query.bind(&running).bind(now).bind(None::<Uuid>);
                }
                rows.extend(query.fetch_all(&mut *connection).await?);
            }
            Ok::<_, sqlx::Error>(rows)
        };
        let rows = self
            .database
            .bounded(read)
            .await
            .map_err(|error| unavailable("list", &error))?;
        let mut shown = HashSet::new();
        let mut rows: Vec<TaskRow> = rows.into_iter().filter(|row| shown.insert(row.id)).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.enqueued_at));
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        rows.into_iter().map(TaskRow::into_summary).collect()
    }

    async fn find(&self, id: MessageId) -> Result<Option<TaskDetails>, InspectionError> {
        let (running, now) = (self.running(), micros(self.database.services.clock.now()));
        let read = async {
            let mut connection = self.database.readers.acquire().await?;
            find_row(&mut connection, id.uuid(), &running, now).await
        };
        let Some((row, kept)) = self
            .database
            .bounded(read)
            .await
            .map_err(|error| unavailable("find", &error))?
        else {
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
        let now = micros(self.database.services.clock.now());
        let running: HashMap<String, u64> = self
            .database
            .topics
            .all()
            .iter()
            .map(|topic| {
                let running = u64::try_from(topic.running().len()).unwrap_or(u64::MAX);
                (topic.name.as_str().to_owned(), running)
            })
            .collect();
        let query = sqlx::query_as(
            "SELECT topic, sum(ready), sum(later), sum(aside) FROM (\
               SELECT topic, count(*) AS ready, 0 AS later, 0 AS aside FROM aftercommit_tasks \
                 WHERE state = 0 AND due_at <= ?1 GROUP BY topic \
               UNION ALL SELECT topic, 0, count(*), 0 FROM aftercommit_tasks \
                 WHERE state = 0 AND due_at > ?1 GROUP BY topic \
               UNION ALL SELECT topic, count(*), 0, 0 FROM aftercommit_tasks WHERE state = 2 GROUP BY topic \
               UNION ALL SELECT topic, 0, 0, count(*) FROM aftercommit_tasks WHERE state = 3 GROUP BY topic) \
             GROUP BY topic ORDER BY topic",
        )
        .bind(now);
        let read = query.fetch_all(&self.database.readers);
        let rows: Vec<(String, i64, i64, i64)> = self
            .database
            .bounded(read)
            .await
            .map_err(|error| unavailable("count", &error))?;
        rows.into_iter()
            .map(|(topic, ready, later, aside)| {
                let running = running.get(&topic).copied().unwrap_or(0);
                Ok(TopicDepth {
                    topic: TopicName::new(topic).map_err(|error| unavailable("count", &error))?,
                    available: count(ready).saturating_sub(running),
                    scheduled: count(later),
                    running,
                    paused: count(aside),
                    consumers: None,
                })
            })
            .collect()
    }
}

impl SqliteQueue {
    /// The tasks being run, as a JSON list.
    pub(crate) fn running(&self) -> String {
        json_list(self.database.topics.all().iter().flat_map(|topic| topic.running()))
    }

    fn payload(&self, body: &[u8]) -> Option<Json> {
        let task = TaskEnvelope::decode(body, &self.database.services.limits).ok()?;
        Some(task.payload)
    }
}

/// What is kept of an unfinished task besides what a list shows.
struct Kept {
    body: Vec<u8>,
    place: TaskPlace,
}

#[derive(FromRow)]
struct KeptRow {
    body: Vec<u8>,
    window_scope: Option<String>,
    is_open: bool,
    oldest: Option<Uuid>,
}

impl KeptRow {
    fn of(self, id: Uuid) -> Kept {
        let window = self.window_scope.as_deref();
        Kept {
            place: TaskPlace {
                behind: self.oldest.filter(|oldest| *oldest != id).map(MessageId::from),
                window: window.map(|scope| TaskWindow::of_scope(scope, self.is_open)),
            },
            body: self.body,
        }
    }
}

async fn find_row(
    connection: &mut SqliteConnection,
    id: Uuid,
    running: &str,
    now: i64,
) -> Result<Option<(TaskRow, Option<Kept>)>, sqlx::Error> {
    let unfinished: Option<TaskRow> = sqlx::query_as(UNFINISHED)
        .bind(None::<&str>)
        .bind(None::<&str>)
        .bind(None::<&str>)
        .bind(1_i64)
        .bind(running)
        .bind(now)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(row) = unfinished {
        let kept: Option<KeptRow> = sqlx::query_as(
            "SELECT t.body, t.window_scope, t.window_opened_at IS NOT NULL AS is_open, \
               (SELECT o.id FROM aftercommit_tasks o WHERE o.topic = t.topic AND o.order_scope = t.order_scope \
                ORDER BY o.seq LIMIT 1) AS oldest \
             FROM aftercommit_tasks t WHERE t.id = ?1",
        )
        .bind(id)
        .fetch_optional(connection)
        .await?;
        return Ok(Some((row, kept.map(|kept| kept.of(id)))));
    }
    let ended: Option<TaskRow> = sqlx::query_as(
        "SELECT id, topic, task, organization_id, project_id, state, attempts, enqueued_at, NULL AS due_at, \
           finished_at, reason, code, correlation_id, causation_id \
         FROM (SELECT *, 'dead' AS state, died_at AS finished_at, failure ->> 'message' AS reason \
               FROM aftercommit_dead_letters WHERE id = ?1) \
         UNION ALL \
         SELECT * FROM (SELECT id, topic, task, organization_id, project_id, outcome, attempts, enqueued_at, NULL, \
           finished_at, reason, code, correlation_id, causation_id \
         FROM aftercommit_task_outcomes WHERE id = ?1 ORDER BY entry DESC LIMIT 1) \
         LIMIT 1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
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
        let corrupt = |error: &dyn std::fmt::Display| unavailable("read", &error);
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
            enqueued_at: timestamp(self.enqueued_at),
            due_at: self.due_at.filter(|_| waits).map(timestamp),
            finished_at: self.finished_at.map(timestamp),
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

fn unavailable(operation: &'static str, reason: &dyn std::fmt::Display) -> InspectionError {
    InspectionError::Unavailable {
        operation,
        reason: reason.to_string(),
    }
}
