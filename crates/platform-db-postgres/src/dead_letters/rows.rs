//! Letters as rows.

use aftercommit_domain::contract::{CorrelationId, Limits, OrganizationId, ProjectId, TaskEnvelope, TopicName};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetter, DeadLettersError};
use aftercommit_domain::time::Timestamp;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::columns::{attempts, attempts_column};

/// Whether `letter` fits the first seven parameters.
pub(super) const FITS: &str = "($1::text IS NULL OR letter.topic = $1) AND ($2::text IS NULL OR letter.task = $2) \
    AND ($3::text IS NULL OR letter.organization_id = $3) AND ($4::text IS NULL OR letter.code = $4) \
    AND ($5::text IS NULL OR letter.fingerprint = $5) AND ($6::timestamptz IS NULL OR letter.died_at >= $6) \
    AND ($7::timestamptz IS NULL OR letter.died_at <= $7)";

/// Binds those seven.
macro_rules! bind_filter {
    ($query:expr, $filter:expr) => {
        $query
            .bind($filter.topic.as_ref().map(|topic| topic.as_str().to_owned()))
            .bind($filter.task.as_ref().map(|task| task.as_str().to_owned()))
            .bind($filter.organization_id.as_ref().map(|id| id.as_str().to_owned()))
            .bind($filter.code.clone())
            .bind($filter.fingerprint.clone())
            .bind($filter.since)
            .bind($filter.until)
    };
}
pub(super) use bind_filter;

/// The columns of a [`LetterRow`].
pub(super) const LETTER: &str = "id, topic, attempts, failure, enqueued_at, died_at, coalesce(first_died_at, died_at) AS first_died_at, deaths, body";

#[derive(FromRow)]
pub(super) struct LetterRow {
    id: Uuid,
    topic: String,
    attempts: i32,
    failure: Json<Failure>,
    enqueued_at: Timestamp,
    died_at: Timestamp,
    first_died_at: Timestamp,
    deaths: i32,
    body: Vec<u8>,
}

impl LetterRow {
    pub(super) fn into_letter(self, limits: &Limits) -> Result<DeadLetter, DeadLettersError> {
        Ok(DeadLetter {
            id: self.id.into(),
            topic: topic(self.topic)?,
            task: TaskEnvelope::decode(&self.body, limits).ok(),
            body: self.body,
            attempts: attempts(self.attempts),
            failure: self.failure.0,
            enqueued_at: self.enqueued_at,
            died_at: self.died_at,
            first_died_at: self.first_died_at,
            deaths: attempts(self.deaths),
        })
    }
}

pub(super) fn topic(text: String) -> Result<TopicName, DeadLettersError> {
    TopicName::new(text).map_err(|error| DeadLettersError::Unavailable {
        operation: "read",
        reason: error.to_string(),
    })
}

const INSERT: &str = "INSERT INTO aftercommit.dead_letters AS letter \
       (id, topic, task, organization_id, project_id, order_key, attempts, code, fingerprint, failure, enqueued_at, \
        died_at, correlation_id, causation_id, body) \
     VALUES ($1, $2, $3, $4, $5, hashtextextended($6, 0), $7, $8, $9, $10, $11, $12, $13, $14, $15) \
     ON CONFLICT (id) DO UPDATE SET entry = DEFAULT, topic = EXCLUDED.topic, task = EXCLUDED.task, \
       organization_id = EXCLUDED.organization_id, project_id = EXCLUDED.project_id, order_key = EXCLUDED.order_key, \
       attempts = EXCLUDED.attempts, code = EXCLUDED.code, fingerprint = EXCLUDED.fingerprint, \
       failure = EXCLUDED.failure, enqueued_at = EXCLUDED.enqueued_at, died_at = EXCLUDED.died_at, \
       correlation_id = EXCLUDED.correlation_id, causation_id = EXCLUDED.causation_id, body = EXCLUDED.body";

pub(super) async fn insert(connection: &mut PgConnection, letter: DeadLetter) -> Result<(), sqlx::Error> {
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
        .bind(task.and_then(order_text))
        .bind(attempts_column(letter.attempts))
        .bind(letter.failure.code.as_ref())
        .bind(letter.failure.fingerprint())
        .bind(Json(&letter.failure))
        .bind(letter.enqueued_at)
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
pub(super) fn order_text(task: &TaskEnvelope) -> Option<String> {
    Some(format!("{}\u{1f}{}", task.topic, task.ordering()?))
}
