//! What operators do with letters beyond single ids.

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::failure::bounded_text;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    DeadLetterAct, DeadLetterAction, DeadLetterBatch, DeadLetterFilter, DeadLetterGroup, DeadLetterOperations,
    DeadLettersError, Fate,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;
use sqlx::FromRow;
use uuid::Uuid;

use super::acting::By;
use super::rows::{FITS, bind_filter, failure};
use super::{SqliteDeadLetters, unavailable};
use crate::columns::{count, micros, timestamp};
use crate::database::{LIST_CAP, LIST_DEFAULT};

#[derive(FromRow)]
struct GroupRow {
    fingerprint: String,
    topic: String,
    task: String,
    code: String,
    letters: i64,
    first_died_at: i64,
    last_died_at: i64,
    failure: String,
}

#[derive(FromRow)]
struct ActionRow {
    id: Uuid,
    action: String,
    actor: String,
    at: i64,
    topic: Option<String>,
    fingerprint: Option<String>,
    died_at: Option<i64>,
    replaced: Option<Vec<u8>>,
    bulk_run_id: Option<Uuid>,
}

#[async_trait]
impl DeadLetterOperations for SqliteDeadLetters {
    async fn count(&self, filter: &DeadLetterFilter) -> Result<u64, DeadLettersError> {
        let sql = format!("SELECT count(*) FROM aftercommit_dead_letters AS letter WHERE {FITS}");
        let query = bind_filter!(sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(sql)), filter);
        let number = self.database.bounded(query.fetch_one(&self.database.readers)).await;
        number.map(count).map_err(|error| unavailable("count", &error))
    }

    async fn groups(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetterGroup>, DeadLettersError> {
        let sql = format!(
            "SELECT one.fingerprint, one.topic, one.task, newest.code, one.letters, one.first_died_at, one.last_died_at, \
               newest.failure \
             FROM (SELECT fingerprint, topic, task, count(*) AS letters, min(died_at) AS first_died_at, \
                     max(died_at) AS last_died_at, max(entry) AS entry \
                   FROM aftercommit_dead_letters AS letter WHERE {FITS} GROUP BY fingerprint, topic, task \
                   ORDER BY letters DESC, last_died_at DESC LIMIT ?8) AS one \
             JOIN aftercommit_dead_letters AS newest ON newest.entry = one.entry \
             ORDER BY one.letters DESC, one.last_died_at DESC"
        );
        let query = bind_filter!(sqlx::query_as::<_, GroupRow>(sqlx::AssertSqlSafe(sql)), filter)
            .bind(i64::from(filter.limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP)));
        let rows = self.database.bounded(query.fetch_all(&self.database.readers)).await;
        let rows = rows.map_err(|error| unavailable("groups", &error))?;
        rows.into_iter().map(GroupRow::into_group).collect()
    }

    async fn replay_corrected(&self, task: &TaskEnvelope, actor: &str) -> Result<bool, DeadLettersError> {
        let acted = self.act(&[task.id], By::correcting(task, actor)).await?;
        Ok(!acted.is_empty())
    }

    async fn act_on_oldest(&self, batch: &DeadLetterBatch) -> Result<Vec<MessageId>, DeadLettersError> {
        let limit = usize::try_from(batch.limit.min(LIST_CAP)).unwrap_or_default();
        let by = By {
            bulk_run: Some(batch.bulk_run.uuid()),
            ..By::one(batch.act, &bounded_text(&batch.actor))
        };
        let mut acted = Vec::new();
        // What somebody else took in between makes room for others.
        while acted.len() < limit {
            let oldest = self.oldest(batch, limit - acted.len()).await?;
            if oldest.is_empty() {
                break;
            }
            acted.extend(self.act(&oldest, by.clone()).await?);
        }
        Ok(acted)
    }

    async fn fates(&self, bulk_run: MessageId, limit: u32) -> Result<Vec<Fate>, DeadLettersError> {
        let query = sqlx::query_scalar::<_, i64>(
            "SELECT CASE WHEN task.id IS NOT NULL THEN iif(task.attempts > 0 OR task.failure_code IS NOT NULL, 1, 0) \
               WHEN letter.id IS NOT NULL THEN 1 ELSE 2 END \
             FROM (SELECT id, entry FROM aftercommit_dead_letter_actions WHERE bulk_run_id = ?1 \
                   ORDER BY entry DESC LIMIT ?2) AS done \
             LEFT JOIN aftercommit_tasks AS task ON task.id = done.id \
             LEFT JOIN aftercommit_dead_letters AS letter ON letter.id = done.id ORDER BY done.entry DESC",
        )
        .bind(bulk_run.uuid())
        .bind(i64::from(limit.min(LIST_CAP)));
        let fates = self.database.bounded(query.fetch_all(&self.database.readers)).await;
        let fates = fates.map_err(|error| unavailable("fates", &error))?;
        Ok(fates
            .into_iter()
            .map(|fate| match fate {
                0 => Fate::Open,
                1 => Fate::Failed,
                _ => Fate::Ended,
            })
            .collect())
    }

    async fn actions(
        &self,
        letter: Option<MessageId>,
        limit: Option<u32>,
    ) -> Result<Vec<DeadLetterAction>, DeadLettersError> {
        const ACTION: &str = "SELECT id, action, actor, at, topic, fingerprint, died_at, replaced, bulk_run_id \
            FROM aftercommit_dead_letter_actions";
        let limit = i64::from(limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP));
        let (of_one, of_all) = (
            format!("{ACTION} WHERE id = ?1 ORDER BY entry DESC LIMIT ?2"),
            format!("{ACTION} WHERE ?1 IS NULL ORDER BY entry DESC LIMIT ?2"),
        );
        let sql = if letter.is_some() { of_one } else { of_all };
        let query = sqlx::query_as::<_, ActionRow>(sqlx::AssertSqlSafe(sql))
            .bind(letter.map(MessageId::uuid))
            .bind(limit);
        let rows = self.database.bounded(query.fetch_all(&self.database.readers)).await;
        let rows = rows.map_err(|error| unavailable("actions", &error))?;
        rows.into_iter().map(ActionRow::into_action).collect()
    }

    async fn prune_actions(&self, before: Timestamp, limit: u32) -> Result<u64, DeadLettersError> {
        let before = micros(before);
        self.database
            .writer
            .call(
                move |connection| {
                    Box::pin(async move {
                        // They were added in the order they were done, so the oldest are the first.
                        let done = sqlx::query(
                            "DELETE FROM aftercommit_dead_letter_actions WHERE entry IN (\
                               SELECT entry FROM (SELECT entry, at FROM aftercommit_dead_letter_actions \
                                                  ORDER BY entry LIMIT ?2) \
                               WHERE at < ?1)",
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
}

impl SqliteDeadLetters {
    /// The oldest that fit and that this bulk run has not acted on.
    async fn oldest(&self, batch: &DeadLetterBatch, limit: usize) -> Result<Vec<MessageId>, DeadLettersError> {
        let sql = format!(
            "SELECT letter.id FROM aftercommit_dead_letters AS letter WHERE {FITS} AND NOT EXISTS (\
               SELECT 1 FROM aftercommit_dead_letter_actions AS action \
               WHERE action.id = letter.id AND action.bulk_run_id = ?8) \
             ORDER BY letter.entry LIMIT ?9"
        );
        let query = bind_filter!(sqlx::query_scalar::<_, Uuid>(sqlx::AssertSqlSafe(sql)), batch.filter)
            .bind(batch.bulk_run.uuid())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let ids = self.database.bounded(query.fetch_all(&self.database.readers)).await;
        let ids = ids.map_err(|error| unavailable("oldest", &error))?;
        Ok(ids.into_iter().map(MessageId::from).collect())
    }
}

impl GroupRow {
    fn into_group(self) -> Result<DeadLetterGroup, DeadLettersError> {
        Ok(DeadLetterGroup {
            fingerprint: self.fingerprint,
            topic: TopicName::new(self.topic).map_err(|error| unavailable("read", &error))?,
            task: self.task,
            code: self.code,
            message: failure(&self.failure).message,
            letters: count(self.letters),
            first_died_at: timestamp(self.first_died_at),
            last_died_at: timestamp(self.last_died_at),
        })
    }
}

impl ActionRow {
    fn into_action(self) -> Result<DeadLetterAction, DeadLettersError> {
        let act = DeadLetterAct::from_stored(&self.action);
        Ok(DeadLetterAction {
            act: act.ok_or_else(|| unavailable("read", &format_args!("{:?} is no action", self.action)))?,
            actor: self.actor,
            at: timestamp(self.at),
            letter: self.id.into(),
            topic: self.topic.and_then(|topic| TopicName::new(topic).ok()),
            fingerprint: self.fingerprint,
            died_at: self.died_at.map(timestamp),
            replaced: self.replaced,
            bulk_run: self.bulk_run_id.map(MessageId::from),
        })
    }
}
