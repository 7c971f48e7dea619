//! Letters as rows.

use aftercommit_domain::contract::{CorrelationId, Limits, OrganizationId, ProjectId, TaskEnvelope, TopicName};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetter, DeadLettersError};
use aftercommit_domain::time::to_micros;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::unavailable;
use crate::columns::{attempts, micros, timestamp};

/// Whether `letter` fits the first seven parameters.
pub(super) const FITS: &str = "(?1 IS NULL OR letter.topic = ?1) AND (?2 IS NULL OR letter.task = ?2) \
    AND (?3 IS NULL OR letter.organization_id = ?3) AND (?4 IS NULL OR letter.code = ?4) \
    AND (?5 IS NULL OR letter.fingerprint = ?5) AND (?6 IS NULL OR letter.died_at >= ?6) \
    AND (?7 IS NULL OR letter.died_at <= ?7)";

/// Binds those seven.
macro_rules! bind_filter {
    ($query:expr, $filter:expr) => {
        $query
            .bind($filter.topic.as_ref().map(|topic| topic.as_str().to_owned()))
            .bind($filter.task.as_ref().map(|task| task.as_str().to_owned()))
            .bind($filter.organization_id.as_ref().map(|id| id.as_str().to_owned()))
            .bind($filter.code.clone())
            .bind($filter.fingerprint.clone())
            .bind($filter.since.map(crate::columns::micros))
            .bind($filter.until.map(crate::columns::micros))
    };
}
pub(super) use bind_filter;

/// The columns of a [`LetterRow`].
pub(super) const LETTER: &str = "id, topic, attempts, failure, enqueued_at, died_at, coalesce(first_died_at, died_at) AS first_died_at, deaths, body";

#[derive(FromRow)]
pub(super) struct LetterRow {
    id: Uuid,
    topic: String,
    attempts: i64,
    failure: String,
    enqueued_at: i64,
    died_at: i64,
    first_died_at: i64,
    deaths: i64,
    body: Vec<u8>,
}

impl LetterRow {
    pub(super) fn into_letter(self, limits: &Limits) -> Result<DeadLetter, DeadLettersError> {
        let topic = TopicName::new(self.topic).map_err(|error| unavailable("read", &error))?;
        Ok(DeadLetter {
            id: self.id.into(),
            topic,
            task: TaskEnvelope::decode(&self.body, limits).ok(),
            body: self.body,
            attempts: attempts(self.attempts),
            failure: failure(&self.failure),
            enqueued_at: timestamp(self.enqueued_at),
            died_at: timestamp(self.died_at),
            first_died_at: timestamp(self.first_died_at),
            deaths: attempts(self.deaths),
        })
    }
}

/// A failure this version cannot read is still a failure.
pub(super) fn failure(text: &str) -> Failure {
    serde_json::from_str(text).unwrap_or_else(|_| Failure::new("task.dead", ErrorClass::Permanent, text))
}

/// What a letter that takes the place of an earlier one keeps: how often its task died and since when.
pub(crate) const AGAIN: &str = "entry = (SELECT max(entry) + 1 FROM aftercommit_dead_letters), topic = excluded.topic, \
    task = excluded.task, organization_id = excluded.organization_id, project_id = excluded.project_id, \
    order_scope = excluded.order_scope, attempts = excluded.attempts, code = excluded.code, \
    fingerprint = excluded.fingerprint, failure = excluded.failure, enqueued_at = excluded.enqueued_at, \
    died_at = excluded.died_at, deaths = aftercommit_dead_letters.deaths + 1, \
    first_died_at = coalesce(aftercommit_dead_letters.first_died_at, aftercommit_dead_letters.died_at), \
    correlation_id = excluded.correlation_id, causation_id = excluded.causation_id, body = excluded.body";

/// How often the task with this id had died when it was replayed the last time, and since when: `deaths` and
/// `first_died_at` of the row to add, which dies at `died_at`.
pub(crate) fn died_before(id: &str, died_at: &str) -> String {
    let last = |column: &str| {
        format!(
            "(SELECT {column} FROM aftercommit_dead_letter_actions AS action WHERE action.id = {id} \
              ORDER BY action.entry DESC LIMIT 1)"
        )
    };
    format!(
        "coalesce({}, 0) + 1, coalesce({}, {died_at})",
        last("deaths"),
        last("first_died_at")
    )
}

pub(super) async fn insert(connection: &mut SqliteConnection, letter: &DeadLetter) -> Result<(), sqlx::Error> {
    let task = letter.task.as_ref();
    let tenant = task.map(|task| &task.tenant);
    let cause = task.map(|task| &task.cause);
    let sql = format!(
        "INSERT INTO aftercommit_dead_letters (id, topic, task, organization_id, project_id, order_scope, attempts, \
           code, fingerprint, failure, enqueued_at, died_at, correlation_id, causation_id, body, deaths, first_died_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, {}) \
         ON CONFLICT (id) DO UPDATE SET {AGAIN}",
        died_before("?1", "?12")
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(letter.id.uuid())
        .bind(letter.topic.as_str())
        .bind(task.map_or("", |task| task.task.as_str()))
        .bind(
            tenant
                .and_then(|tenant| tenant.organization_id())
                .map(OrganizationId::as_str),
        )
        .bind(tenant.and_then(|tenant| tenant.project_id()).map(ProjectId::as_str))
        .bind(task.and_then(TaskEnvelope::ordering))
        .bind(i64::from(letter.attempts))
        .bind(letter.failure.code.as_ref())
        .bind(letter.failure.fingerprint())
        .bind(serde_json::to_string(&letter.failure).unwrap_or_default())
        .bind(micros(to_micros(letter.enqueued_at)))
        .bind(micros(to_micros(letter.died_at)))
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
