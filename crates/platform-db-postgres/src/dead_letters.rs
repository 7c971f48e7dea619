//! Dead letters: tasks that were given up, kept to be understood and replayed.

use std::fmt;
use std::sync::Arc;

use aftercommit_domain::contract::{CorrelationId, OrganizationId, ProjectId, TaskEnvelope, TopicName};
use aftercommit_domain::failure::{Failure, bounded_text};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetter, DeadLetterFilter, DeadLetters, DeadLettersError};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::bell::Told;
use crate::columns::{attempts, attempts_column};
use crate::database::{Inner, LIST_CAP, LIST_DEFAULT};
use crate::trouble::told;
use crate::wake::Wake;

/// The most letters of one transaction.
const LETTERS_AT_ONCE: usize = 500;

/// The dead letters of a database.
#[derive(Clone)]
pub struct PostgresDeadLetters {
    pub(crate) database: Arc<Inner>,
    pub(crate) replay_into: ReplayInto,
}

/// Where a replayed task goes, in the transaction that removes its letter.
#[derive(Debug, Clone)]
pub enum ReplayInto {
    /// The queue in this database; whoever waits for its tasks is woken.
    Tasks(Arc<Wake>),
    /// The outbox: a relay puts it on its topic, wherever that is.
    Outbox,
}

#[derive(FromRow)]
struct LetterRow {
    id: Uuid,
    topic: String,
    attempts: i32,
    failure: Json<Failure>,
    died_at: Timestamp,
    body: Vec<u8>,
}

const SELECT: &str = "SELECT id, topic, attempts, failure, died_at, body FROM aftercommit.dead_letters \
     WHERE ($1::text IS NULL OR topic = $1) AND ($2::text IS NULL OR organization_id = $2) \
       AND ($3::text IS NULL OR code = $3) AND ($4::uuid IS NULL OR id = $4) \
     ORDER BY entry DESC LIMIT $5";

const INSERT: &str = "INSERT INTO aftercommit.dead_letters AS letter \
       (id, topic, task, organization_id, project_id, order_key, attempts, code, fingerprint, failure, enqueued_at, \
        died_at, correlation_id, causation_id, body) \
     VALUES ($1, $2, $3, $4, $5, hashtextextended($6, 0), $7, $8, $9, $10, $11, $12, $13, $14, $15) \
     ON CONFLICT (id) DO UPDATE SET topic = EXCLUDED.topic, task = EXCLUDED.task, attempts = EXCLUDED.attempts, \
       code = EXCLUDED.code, fingerprint = EXCLUDED.fingerprint, failure = EXCLUDED.failure, \
       died_at = EXCLUDED.died_at, body = EXCLUDED.body";

const INTO_TASKS: &str = "INSERT INTO aftercommit.tasks \
       (id, topic, task, organization_id, project_id, state, due_at, order_key, enqueued_at, correlation_id, \
        causation_id, body) \
     SELECT id, topic, task, organization_id, project_id, CASE WHEN order_key IS NULL THEN 0 ELSE 2 END, \
       aftercommit.clock(), order_key, enqueued_at, correlation_id, causation_id, body \
     FROM aftercommit.dead_letters WHERE id = ANY ($1) ORDER BY entry ON CONFLICT (id) DO NOTHING";

const INTO_OUTBOX: &str = "INSERT INTO aftercommit.outbox \
       (id, kind, written_at, order_key, organization_id, project_id, bucket, body) \
     SELECT id, 'task', aftercommit.clock(), order_key, organization_id, project_id, coalesce(organization_id, ' '), body \
     FROM aftercommit.dead_letters WHERE id = ANY ($1) AND pg_current_xact_id() IS NOT NULL ORDER BY entry";

const REMOVE: &str = "WITH gone AS (\
       DELETE FROM aftercommit.dead_letters WHERE id = ANY ($1) RETURNING id, organization_id, project_id\
     ), noted AS (\
       INSERT INTO aftercommit.dead_letter_actions (id, organization_id, project_id, action, actor, at) \
       SELECT id, organization_id, project_id, $2, $3, aftercommit.clock() FROM gone\
     ) SELECT id FROM gone";

#[async_trait]
impl DeadLetters for PostgresDeadLetters {
    async fn add(&self, letter: DeadLetter) -> Result<(), DeadLettersError> {
        self.database
            .engine
            .run(move |connection| Box::pin(async move { insert(connection, letter).await }))
            .await
            .map_err(|error| unavailable("add", &error))
    }

    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, DeadLettersError> {
        self.select("list", filter, None).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<DeadLetter>, DeadLettersError> {
        let letters = self.select("find", &DeadLetterFilter::default(), Some(id)).await?;
        Ok(letters.into_iter().next())
    }

    async fn replay(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        let done = self.act(ids, actor, Some(self.replay_into.clone())).await?;
        match &self.replay_into {
            ReplayInto::Tasks(topics) => {
                topics.bump();
                self.database.bell.ring(Told::DueTimes);
            }
            ReplayInto::Outbox => self.database.relay.committed(),
        }
        Ok(done)
    }

    async fn discard(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        self.act(ids, actor, None).await
    }
}

impl PostgresDeadLetters {
    async fn select(
        &self,
        operation: &'static str,
        filter: &DeadLetterFilter,
        id: Option<MessageId>,
    ) -> Result<Vec<DeadLetter>, DeadLettersError> {
        let filter = filter.clone();
        let rows: Vec<LetterRow> = self
            .database
            .console
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_as(SELECT)
                        .bind(filter.topic.as_ref().map(TopicName::as_str))
                        .bind(filter.organization_id.as_ref().map(OrganizationId::as_str))
                        .bind(filter.code.as_deref())
                        .bind(id.map(MessageId::uuid))
                        .bind(i64::from(filter.limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP)))
                        .fetch_all(connection)
                        .await
                })
            })
            .await
            .map_err(|error| unavailable(operation, &error))?;
        rows.into_iter().map(|row| self.letter(row)).collect()
    }

    /// Replays into `target`, or discards. Answers the ids there were, in the order they were asked for.
    async fn act(
        &self,
        ids: &[MessageId],
        actor: &str,
        target: Option<ReplayInto>,
    ) -> Result<Vec<MessageId>, DeadLettersError> {
        let mut acted = Vec::new();
        for part in ids.chunks(LETTERS_AT_ONCE) {
            let asked: Vec<Uuid> = part.iter().map(|id| id.uuid()).collect();
            let (actor, target) = (bounded_text(actor), target.clone());
            let done: Vec<Uuid> = self
                .database
                .engine
                .run(move |connection| Box::pin(async move { carry_out(connection, asked, actor, target).await }))
                .await
                .map_err(|error| unavailable("act", &error))?;
            acted.extend(part.iter().copied().filter(|id| done.contains(&id.uuid())));
        }
        Ok(acted)
    }

    fn letter(&self, row: LetterRow) -> Result<DeadLetter, DeadLettersError> {
        let topic = TopicName::new(row.topic).map_err(|error| DeadLettersError::Unavailable {
            operation: "read",
            reason: error.to_string(),
        })?;
        Ok(DeadLetter {
            id: row.id.into(),
            topic,
            task: TaskEnvelope::decode(&row.body, &self.database.services.limits).ok(),
            body: row.body,
            attempts: attempts(row.attempts),
            failure: row.failure.0,
            died_at: row.died_at,
        })
    }
}

async fn insert(connection: &mut PgConnection, letter: DeadLetter) -> Result<(), sqlx::Error> {
    let task = letter.task.as_ref();
    let tenant = task.map(|task| &task.tenant);
    let cause = task.map(|task| &task.cause);
    sqlx::query(INSERT)
        .bind(letter.id.uuid())
        .bind(letter.topic.as_str())
        .bind(task.map_or("", |task| task.task.as_str()))
        .bind(
            tenant
                .and_then(|tenant| tenant.organization_id())
                .map(OrganizationId::as_str),
        )
        .bind(tenant.and_then(|tenant| tenant.project_id()).map(ProjectId::as_str))
        .bind(order_text(task))
        .bind(attempts_column(letter.attempts))
        .bind(letter.failure.code.as_ref())
        .bind(letter.failure.fingerprint())
        .bind(Json(&letter.failure))
        .bind(task.map_or(letter.died_at, |task| task.first_enqueued_at))
        .bind(letter.died_at)
        .bind(
            cause
                .and_then(|cause| cause.correlation.as_ref())
                .map(CorrelationId::as_str),
        )
        .bind(cause.and_then(|cause| cause.causation).map(MessageId::uuid))
        .bind(letter.body.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

/// What an ordered task is ordered by: its topic and the key, scoped by tenant. The queue hashes the same text.
fn order_text(task: Option<&TaskEnvelope>) -> Option<String> {
    task.and_then(|task| Some(format!("{}\u{1f}{}", task.topic, task.ordering()?)))
}

async fn carry_out(
    connection: &mut PgConnection,
    ids: Vec<Uuid>,
    actor: String,
    target: Option<ReplayInto>,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let mut transaction = sqlx::Connection::begin(connection).await?;
    let keys: Vec<i64> = sqlx::query_scalar(
        "SELECT order_key FROM aftercommit.dead_letters WHERE id = ANY ($1) AND order_key IS NOT NULL",
    )
    .bind(&ids)
    .fetch_all(&mut *transaction)
    .await?;
    let is_into_tasks = matches!(target, Some(ReplayInto::Tasks(_)));
    if is_into_tasks && !keys.is_empty() {
        sqlx::query("SELECT aftercommit.tasks_take_turns($1)")
            .bind(&keys)
            .execute(&mut *transaction)
            .await?;
    }
    match &target {
        Some(ReplayInto::Tasks(_)) => {
            sqlx::query(INTO_TASKS).bind(&ids).execute(&mut *transaction).await?;
        }
        Some(ReplayInto::Outbox) => {
            sqlx::query(INTO_OUTBOX).bind(&ids).execute(&mut *transaction).await?;
        }
        None => {}
    }
    let done = sqlx::query_scalar(REMOVE)
        .bind(&ids)
        .bind(if target.is_some() { "replay" } else { "discard" })
        .bind(actor)
        .fetch_all(&mut *transaction)
        .await?;
    if is_into_tasks && !keys.is_empty() {
        sqlx::query("SELECT aftercommit.tasks_bring_forward($1)")
            .bind(&keys)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(done)
}

impl fmt::Debug for PostgresDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDeadLetters").finish_non_exhaustive()
    }
}

fn unavailable(operation: &'static str, error: &sqlx::Error) -> DeadLettersError {
    DeadLettersError::Unavailable {
        operation,
        reason: told(error),
    }
}
