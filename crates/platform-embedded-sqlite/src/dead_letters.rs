//! Dead letters: tasks that were given up, kept to be understood and replayed.

use std::fmt;
use std::sync::Arc;

use aftercommit_domain::contract::{CorrelationId, OrganizationId, ProjectId, TaskEnvelope, TopicName};
use aftercommit_domain::failure::{ErrorClass, Failure, bounded_text};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetter, DeadLetterFilter, DeadLetters, DeadLettersError};
use aftercommit_domain::time::to_micros;
use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::columns::{attempts, micros, timestamp};
use crate::database::{Inner, LIST_CAP, LIST_DEFAULT};
use crate::queue::insertion::{Sequence, promote};

/// The most letters of one transaction.
const LETTERS_PER_JOB: usize = 500;

/// The dead letters of a database.
#[derive(Clone)]
pub struct SqliteDeadLetters {
    pub(crate) database: Arc<Inner>,
}

#[derive(FromRow)]
struct LetterRow {
    id: Uuid,
    topic: String,
    attempts: i64,
    failure: String,
    died_at: i64,
    body: Vec<u8>,
}

#[async_trait]
impl DeadLetters for SqliteDeadLetters {
    async fn add(&self, letter: DeadLetter) -> Result<(), DeadLettersError> {
        let letter = Arc::new(letter);
        self.database
            .writer
            .call(
                move |connection| {
                    let letter = Arc::clone(&letter);
                    Box::pin(async move { insert(connection, &letter).await })
                },
                |_| {},
            )
            .await
            .map_err(|error| unavailable("add", &error))
    }

    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, DeadLettersError> {
        let query = sqlx::query_as(
            "SELECT id, topic, attempts, failure, died_at, body FROM aftercommit_dead_letters \
             WHERE (?1 IS NULL OR topic = ?1) AND (?2 IS NULL OR organization_id = ?2) AND (?3 IS NULL OR code = ?3) \
             ORDER BY entry DESC LIMIT ?4",
        )
        .bind(filter.topic.as_ref().map(TopicName::as_str))
        .bind(filter.organization_id.as_ref().map(OrganizationId::as_str))
        .bind(filter.code.as_deref())
        .bind(i64::from(filter.limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP)));
        let rows: Vec<LetterRow> = self
            .database
            .bounded(query.fetch_all(&self.database.readers))
            .await
            .map_err(|error| unavailable("list", &error))?;
        rows.into_iter().map(|row| self.letter(row)).collect()
    }

    async fn find(&self, id: MessageId) -> Result<Option<DeadLetter>, DeadLettersError> {
        let query = sqlx::query_as(
            "SELECT id, topic, attempts, failure, died_at, body FROM aftercommit_dead_letters WHERE id = ?1",
        )
        .bind(id.uuid());
        let row: Option<LetterRow> = self
            .database
            .bounded(query.fetch_optional(&self.database.readers))
            .await
            .map_err(|error| unavailable("find", &error))?;
        row.map(|row| self.letter(row)).transpose()
    }

    async fn replay(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        self.act(ids, actor, Action::Replay).await
    }

    async fn discard(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        self.act(ids, actor, Action::Discard).await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Replay,
    Discard,
}

impl SqliteDeadLetters {
    async fn act(&self, ids: &[MessageId], actor: &str, action: Action) -> Result<Vec<MessageId>, DeadLettersError> {
        let mut acted = Vec::new();
        for part in ids.chunks(LETTERS_PER_JOB) {
            let ids: Vec<String> = part.iter().map(|id| id.uuid().simple().to_string()).collect();
            let ids = serde_json::to_string(&ids).unwrap_or_default();
            let actor = bounded_text(actor);
            let now = micros(self.database.services.clock.now());
            let (topics, sequence) = (Arc::clone(&self.database.topics), Arc::clone(&self.database.sequence));
            let done: Vec<Uuid> = self
                .database
                .writer
                .call(
                    move |connection| {
                        let (ids, actor, sequence) = (ids.clone(), actor.clone(), Arc::clone(&sequence));
                        Box::pin(async move { carry_out(connection, &ids, &actor, action, now, &sequence).await })
                    },
                    move |result| {
                        if action == Action::Replay && result.is_ok() {
                            topics.wake_all();
                        }
                    },
                )
                .await
                .map_err(|error| unavailable("act", &error))?;
            // In the order they were asked for.
            acted.extend(part.iter().copied().filter(|id| done.contains(&id.uuid())));
        }
        Ok(acted)
    }

    fn letter(&self, row: LetterRow) -> Result<DeadLetter, DeadLettersError> {
        let topic = TopicName::new(row.topic).map_err(|error| unavailable("read", &error))?;
        // A failure this version cannot read is still a failure.
        let failure = serde_json::from_str(&row.failure)
            .unwrap_or_else(|_| Failure::new("task.dead", ErrorClass::Permanent, &row.failure));
        Ok(DeadLetter {
            id: row.id.into(),
            topic,
            task: TaskEnvelope::decode(&row.body, &self.database.services.limits).ok(),
            body: row.body,
            attempts: attempts(row.attempts),
            failure,
            died_at: timestamp(row.died_at),
        })
    }
}

async fn insert(connection: &mut SqliteConnection, letter: &DeadLetter) -> Result<(), sqlx::Error> {
    let task = letter.task.as_ref();
    let tenant = task.map(|task| &task.tenant);
    let cause = task.map(|task| &task.cause);
    let died_at = micros(to_micros(letter.died_at));
    sqlx::query(
        "INSERT OR REPLACE INTO aftercommit_dead_letters (id, topic, task, organization_id, project_id, order_scope, attempts, \
           code, fingerprint, failure, enqueued_at, died_at, correlation_id, causation_id, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )
    .bind(letter.id.uuid())
    .bind(letter.topic.as_str())
    .bind(task.map_or("", |task| task.task.as_str()))
    .bind(tenant.and_then(|tenant| tenant.organization_id()).map(OrganizationId::as_str))
    .bind(tenant.and_then(|tenant| tenant.project_id()).map(ProjectId::as_str))
    .bind(task.and_then(TaskEnvelope::ordering))
    .bind(i64::from(letter.attempts))
    .bind(letter.failure.code.as_ref())
    .bind(letter.failure.fingerprint())
    .bind(serde_json::to_string(&letter.failure).unwrap_or_default())
    .bind(task.map_or(died_at, |task| micros(to_micros(task.first_enqueued_at))))
    .bind(died_at)
    .bind(cause.and_then(|cause| cause.correlation.as_ref()).map(CorrelationId::as_str))
    .bind(cause.and_then(|cause| cause.causation).map(MessageId::uuid))
    .bind(letter.body.as_slice())
    .execute(connection)
    .await?;
    Ok(())
}

/// Acts on the letters among `ids`, a JSON list of hexadecimal ids. Answers those there were.
async fn carry_out(
    connection: &mut SqliteConnection,
    ids: &str,
    actor: &str,
    action: Action,
    now: i64,
    sequence: &Sequence,
) -> Result<Vec<Uuid>, sqlx::Error> {
    if action == Action::Replay {
        // Ordered ones wait behind whatever is unfinished, and the promotion below frees those that are first. One that
        // is in its topic again already is not doubled.
        sqlx::query(
            "INSERT INTO aftercommit_tasks (seq, id, topic, task, organization_id, project_id, state, due_at, order_scope, \
               enqueued_at, correlation_id, causation_id, body) \
             SELECT ?3 + row_number() OVER (ORDER BY entry), id, topic, task, organization_id, project_id, \
               iif(order_scope IS NULL, 0, 2), ?2, order_scope, \
               enqueued_at, correlation_id, causation_id, body \
             FROM aftercommit_dead_letters WHERE id IN (SELECT unhex(value) FROM json_each(?1)) \
             ORDER BY entry ON CONFLICT (id) DO NOTHING",
        )
        .bind(ids)
        .bind(now)
        .bind(sequence.reserve(LETTERS_PER_JOB + 1))
        .execute(&mut *connection)
        .await?;
    }
    let letters: Vec<(Uuid, String, Option<String>)> = sqlx::query_as(
        "DELETE FROM aftercommit_dead_letters WHERE id IN (SELECT unhex(value) FROM json_each(?1)) \
         RETURNING id, topic, order_scope",
    )
    .bind(ids)
    .fetch_all(&mut *connection)
    .await?;
    let done: Vec<Uuid> = letters.iter().map(|(id, _, _)| *id).collect();
    let hex: Vec<String> = done.iter().map(|id| id.simple().to_string()).collect();
    sqlx::query(
        "INSERT INTO aftercommit_dead_letter_actions (id, action, actor, at) \
         SELECT unhex(value), ?2, ?3, ?4 FROM json_each(?1)",
    )
    .bind(serde_json::to_string(&hex).unwrap_or_default())
    .bind(match action {
        Action::Replay => "replay",
        Action::Discard => "discard",
    })
    .bind(actor)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    if action == Action::Replay {
        let keys = letters
            .iter()
            .filter_map(|(_, topic, scope)| Some((topic.as_str(), scope.as_deref()?)));
        promote(connection, keys).await?;
    }
    Ok(done)
}

impl fmt::Debug for SqliteDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteDeadLetters").finish_non_exhaustive()
    }
}

fn unavailable(operation: &'static str, reason: &dyn std::fmt::Display) -> DeadLettersError {
    DeadLettersError::Unavailable {
        operation,
        reason: reason.to_string(),
    }
}
