//! Replaying, correcting and discarding letters, each recorded in the transaction that does it.

use std::sync::Arc;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::failure::bounded_text;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetterAct, DeadLettersError};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{SqliteDeadLetters, unavailable};
use crate::columns::micros;
use crate::queue::insertion::{Sequence, promote};

/// The most letters of one transaction.
const LETTERS_PER_JOB: usize = 500;

/// Who does what, and in which bulk run.
#[derive(Debug, Clone)]
pub(super) struct By {
    pub(super) act: DeadLetterAct,
    pub(super) actor: String,
    pub(super) bulk_run: Option<Uuid>,
    pub(super) corrected: Option<Arc<Corrected>>,
}

/// What takes the place of a letter's task.
#[derive(Debug)]
pub(super) struct Corrected {
    ordering: Option<String>,
    body: Vec<u8>,
}

impl By {
    pub(super) fn one(act: DeadLetterAct, actor: &str) -> Self {
        Self {
            act,
            actor: bounded_text(actor),
            bulk_run: None,
            corrected: None,
        }
    }

    pub(super) fn correcting(task: &TaskEnvelope, actor: &str) -> Self {
        Self {
            corrected: Some(Arc::new(Corrected {
                ordering: task.ordering(),
                body: task.encode().into_bytes(),
            })),
            ..Self::one(DeadLetterAct::Correct, actor)
        }
    }

    const fn goes_back(&self) -> bool {
        match self.act {
            DeadLetterAct::Replay | DeadLetterAct::Correct => true,
            DeadLetterAct::Discard => false,
        }
    }
}

impl SqliteDeadLetters {
    /// Acts on the letters among `ids`; answers those there were, in the order they were asked for.
    pub(super) async fn act(&self, ids: &[MessageId], by: By) -> Result<Vec<MessageId>, DeadLettersError> {
        let mut acted = Vec::new();
        for part in ids.chunks(LETTERS_PER_JOB) {
            let asked = id_list(part.iter().map(|id| id.uuid()));
            let now = micros(self.database.services.clock.now());
            let (topics, sequence) = (Arc::clone(&self.database.topics), Arc::clone(&self.database.sequence));
            let (by, goes_back) = (by.clone(), by.goes_back());
            let done: Vec<Uuid> = self
                .database
                .writer
                .call(
                    move |connection| {
                        let (asked, by, sequence) = (asked.clone(), by.clone(), Arc::clone(&sequence));
                        Box::pin(async move { carry_out(connection, &asked, &by, now, &sequence).await })
                    },
                    move |result| {
                        if goes_back && result.is_ok() {
                            topics.wake_all();
                        }
                    },
                )
                .await
                .map_err(|error| unavailable("act", &error))?;
            acted.extend(part.iter().copied().filter(|id| done.contains(&id.uuid())));
        }
        Ok(acted)
    }
}

/// Ids as a JSON list of hexadecimal texts: SQLite has no array parameters.
fn id_list(ids: impl Iterator<Item = Uuid>) -> String {
    let ids: Vec<String> = ids.map(|id| id.simple().to_string()).collect();
    serde_json::to_string(&ids).unwrap_or_default()
}

/// Acts on the letters among `asked`; in a bulk run, on none twice. Answers those there were.
async fn carry_out(
    connection: &mut SqliteConnection,
    asked: &str,
    by: &By,
    now: i64,
    sequence: &Sequence,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let letters: Vec<(Uuid, String)> = sqlx::query_as(
        "SELECT letter.id, letter.topic FROM aftercommit_dead_letters AS letter \
         WHERE letter.id IN (SELECT unhex(value) FROM json_each(?1)) AND (?2 IS NULL OR NOT EXISTS (\
           SELECT 1 FROM aftercommit_dead_letter_actions AS action \
           WHERE action.id = letter.id AND action.bulk_run_id = ?2))",
    )
    .bind(asked)
    .bind(by.bulk_run)
    .fetch_all(&mut *connection)
    .await?;
    if letters.is_empty() {
        return Ok(Vec::new());
    }
    let ids = id_list(letters.iter().map(|(id, _)| *id));
    sqlx::query(
        "INSERT INTO aftercommit_dead_letter_actions \
           (id, action, actor, at, topic, fingerprint, died_at, deaths, first_died_at, replaced, bulk_run_id) \
         SELECT id, ?2, ?3, ?4, topic, fingerprint, died_at, deaths, coalesce(first_died_at, died_at), \
           iif(?5, body, NULL), ?6 \
         FROM aftercommit_dead_letters WHERE id IN (SELECT unhex(value) FROM json_each(?1)) ORDER BY entry",
    )
    .bind(&ids)
    .bind(by.act.as_str())
    .bind(&by.actor)
    .bind(now)
    .bind(by.corrected.is_some())
    .bind(by.bulk_run)
    .execute(&mut *connection)
    .await?;
    let mut keys = Vec::new();
    if by.goes_back() {
        if let Some(corrected) = &by.corrected {
            correct(connection, &ids, corrected).await?;
        }
        keys = put_back(connection, &ids, now, sequence).await?;
        // Without the letter, what its handlers did would be forgotten before the task has run again.
        sqlx::query(
            "UPDATE aftercommit_inbox SET claimed_at = ?2 WHERE message_id IN (SELECT unhex(value) FROM json_each(?1))",
        )
        .bind(&ids)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query("DELETE FROM aftercommit_dead_letters WHERE id IN (SELECT unhex(value) FROM json_each(?1))")
        .bind(&ids)
        .execute(&mut *connection)
        .await?;
    promote(
        connection,
        keys.iter().map(|(topic, scope)| (topic.as_str(), scope.as_str())),
    )
    .await?;
    Ok(letters.into_iter().map(|(id, _)| id).collect())
}

async fn correct(connection: &mut SqliteConnection, ids: &str, corrected: &Corrected) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE aftercommit_dead_letters SET body = ?2, order_scope = ?3 \
         WHERE id IN (SELECT unhex(value) FROM json_each(?1))",
    )
    .bind(ids)
    .bind(corrected.body.as_slice())
    .bind(&corrected.ordering)
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds their tasks to their topics. Ordered ones wait behind whatever is unfinished, and a promotion frees those that are
/// first: answers their keys. One that is in its topic again already is not doubled.
async fn put_back(
    connection: &mut SqliteConnection,
    ids: &str,
    now: i64,
    sequence: &Sequence,
) -> Result<Vec<(String, String)>, sqlx::Error> {
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
    sqlx::query_as(
        "SELECT DISTINCT topic, order_scope FROM aftercommit_dead_letters \
         WHERE order_scope IS NOT NULL AND id IN (SELECT unhex(value) FROM json_each(?1))",
    )
    .bind(ids)
    .fetch_all(connection)
    .await
}
