//! What operators do with letters beyond single ids.

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::contract::TopicName;
use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    DeadLetterAct, DeadLetterAction, DeadLetterBatch, DeadLetterFilter, DeadLetterGroup, DeadLetterOperations,
    DeadLettersError, Fate,
};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::acting::By;
use super::rows::{FITS, bind_filter, topic};
use super::{PostgresDeadLetters, unavailable};
use crate::columns::count;
use crate::database::{LIST_CAP, LIST_DEFAULT};

#[derive(FromRow)]
struct GroupRow {
    fingerprint: String,
    topic: String,
    task: String,
    code: String,
    letters: i64,
    first_died_at: Timestamp,
    last_died_at: Timestamp,
    failure: Json<Failure>,
}

#[derive(FromRow)]
struct ActionRow {
    id: Uuid,
    action: String,
    actor: String,
    at: Timestamp,
    topic: Option<String>,
    fingerprint: Option<String>,
    died_at: Option<Timestamp>,
    replaced: Option<Vec<u8>>,
    bulk_run_id: Option<Uuid>,
}

#[async_trait]
impl DeadLetterOperations for PostgresDeadLetters {
    async fn count(&self, filter: &DeadLetterFilter) -> Result<u64, DeadLettersError> {
        let filter = filter.clone();
        let sql = format!("SELECT count(*) FROM aftercommit.dead_letters AS letter WHERE {FITS}");
        let number = self.database.console.run(move |connection| {
            Box::pin(async move {
                bind_filter!(sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(sql)), filter)
                    .fetch_one(connection)
                    .await
            })
        });
        number.await.map(count).map_err(|error| unavailable("count", &error))
    }

    async fn groups(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetterGroup>, DeadLettersError> {
        let filter = filter.clone();
        let sql = format!(
            "SELECT one.fingerprint, one.topic, one.task, newest.code, one.letters, one.first_died_at, one.last_died_at, \
               newest.failure \
             FROM (SELECT fingerprint, topic, task, count(*) AS letters, min(died_at) AS first_died_at, \
                     max(died_at) AS last_died_at, max(entry) AS entry \
                   FROM aftercommit.dead_letters AS letter WHERE {FITS} GROUP BY fingerprint, topic, task \
                   ORDER BY letters DESC, last_died_at DESC LIMIT $8) AS one \
             JOIN aftercommit.dead_letters AS newest ON newest.entry = one.entry \
             ORDER BY one.letters DESC, one.last_died_at DESC"
        );
        let rows = self.database.console.run(move |connection| {
            Box::pin(async move {
                bind_filter!(sqlx::query_as::<_, GroupRow>(sqlx::AssertSqlSafe(sql)), filter)
                    .bind(i64::from(filter.limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP)))
                    .fetch_all(connection)
                    .await
            })
        });
        let rows = rows.await.map_err(|error| unavailable("groups", &error))?;
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
            ..By::one(batch.act, &batch.actor)
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
        let fates = self.database.console.run(move |connection| {
            Box::pin(async move {
                sqlx::query_scalar::<_, i32>(
                    "SELECT CASE WHEN task.id IS NOT NULL \
                         THEN (task.attempts > 0 OR task.failure_code IS NOT NULL)::integer \
                       WHEN letter.id IS NOT NULL THEN 1 ELSE 2 END \
                     FROM (SELECT id, entry FROM aftercommit.dead_letter_actions WHERE bulk_run_id = $1 \
                           ORDER BY entry DESC LIMIT $2) AS done \
                     LEFT JOIN aftercommit.tasks AS task ON task.id = done.id \
                     LEFT JOIN aftercommit.dead_letters AS letter ON letter.id = done.id ORDER BY done.entry DESC",
                )
                .bind(bulk_run.uuid())
                .bind(i64::from(limit.min(LIST_CAP)))
                .fetch_all(connection)
                .await
            })
        });
        let fates = fates.await.map_err(|error| unavailable("fates", &error))?;
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
            FROM aftercommit.dead_letter_actions";
        let limit = i64::from(limit.unwrap_or(LIST_DEFAULT).min(LIST_CAP));
        let of_whom = if letter.is_some() {
            "id = $1"
        } else {
            "$1::uuid IS NULL"
        };
        let sql = format!("{ACTION} WHERE {of_whom} ORDER BY entry DESC LIMIT $2");
        let rows = self.database.console.run(move |connection| {
            Box::pin(async move {
                sqlx::query_as::<_, ActionRow>(sqlx::AssertSqlSafe(sql))
                    .bind(letter.map(MessageId::uuid))
                    .bind(limit)
                    .fetch_all(connection)
                    .await
            })
        });
        let rows = rows.await.map_err(|error| unavailable("actions", &error))?;
        rows.into_iter().map(ActionRow::into_action).collect()
    }

    async fn prune_actions(&self, before: Timestamp, limit: u32) -> Result<u64, DeadLettersError> {
        let forgotten = self.database.leases.run(move |connection| {
            Box::pin(async move {
                // They were added in the order they were done, so the oldest are the first.
                let done = sqlx::query(
                    "DELETE FROM aftercommit.dead_letter_actions WHERE entry IN (\
                       SELECT entry FROM (SELECT entry, at FROM aftercommit.dead_letter_actions \
                                          ORDER BY entry LIMIT $2) AS oldest \
                       WHERE at < $1)",
                )
                .bind(before)
                .bind(i64::from(limit))
                .execute(connection)
                .await?;
                Ok(done.rows_affected())
            })
        });
        forgotten.await.map_err(|error| unavailable("prune", &error))
    }
}

impl PostgresDeadLetters {
    /// The oldest that fit and that this bulk run has not acted on.
    async fn oldest(&self, batch: &DeadLetterBatch, limit: usize) -> Result<Vec<MessageId>, DeadLettersError> {
        let (filter, bulk_run) = (batch.filter.clone(), batch.bulk_run);
        let sql = format!(
            "SELECT letter.id FROM aftercommit.dead_letters AS letter WHERE {FITS} AND NOT EXISTS (\
               SELECT FROM aftercommit.dead_letter_actions AS action \
               WHERE action.id = letter.id AND action.bulk_run_id = $8) \
             ORDER BY letter.entry LIMIT $9"
        );
        let ids = self.database.console.run(move |connection| {
            Box::pin(async move {
                bind_filter!(sqlx::query_scalar::<_, Uuid>(sqlx::AssertSqlSafe(sql)), filter)
                    .bind(bulk_run.uuid())
                    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                    .fetch_all(connection)
                    .await
            })
        });
        let ids = ids.await.map_err(|error| unavailable("oldest", &error))?;
        Ok(ids.into_iter().map(MessageId::from).collect())
    }
}

impl GroupRow {
    fn into_group(self) -> Result<DeadLetterGroup, DeadLettersError> {
        Ok(DeadLetterGroup {
            fingerprint: self.fingerprint,
            topic: topic(self.topic)?,
            task: self.task,
            code: self.code,
            message: self.failure.0.message,
            letters: count(self.letters),
            first_died_at: self.first_died_at,
            last_died_at: self.last_died_at,
        })
    }
}

impl ActionRow {
    fn into_action(self) -> Result<DeadLetterAction, DeadLettersError> {
        let act = DeadLetterAct::from_stored(&self.action).ok_or_else(|| DeadLettersError::Unavailable {
            operation: "read",
            reason: format!("{:?} is no action", self.action),
        })?;
        Ok(DeadLetterAction {
            act,
            actor: self.actor,
            at: self.at,
            letter: self.id.into(),
            topic: self.topic.and_then(|topic| TopicName::new(topic).ok()),
            fingerprint: self.fingerprint,
            died_at: self.died_at,
            replaced: self.replaced,
            bulk_run: self.bulk_run_id.map(MessageId::from),
        })
    }
}
