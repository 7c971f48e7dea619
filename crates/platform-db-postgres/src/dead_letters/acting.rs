//! Replaying, correcting and discarding letters, each recorded in the transaction that does it.

use std::sync::Arc;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::failure::bounded_text;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{DeadLetterAct, DeadLettersError};
use sqlx::PgConnection;
use uuid::Uuid;

use super::rows::order_text;
use super::{PostgresDeadLetters, ReplayInto, unavailable};
use crate::bell::Told;

/// The most letters of one transaction.
const LETTERS_AT_ONCE: usize = 500;

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
    order_text: Option<String>,
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
                order_text: order_text(task),
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

impl PostgresDeadLetters {
    /// Acts on the letters among `ids`; answers those there were, in the order they were asked for.
    pub(super) async fn act(&self, ids: &[MessageId], by: By) -> Result<Vec<MessageId>, DeadLettersError> {
        let target = by.goes_back().then(|| self.replay_into.clone());
        let mut acted = Vec::new();
        for part in ids.chunks(LETTERS_AT_ONCE) {
            let asked: Vec<Uuid> = part.iter().map(|id| id.uuid()).collect();
            let (by, target) = (by.clone(), target.clone());
            let done: Vec<Uuid> = self
                .database
                .engine
                .run(move |connection| Box::pin(async move { carry_out(connection, asked, by, target).await }))
                .await
                .map_err(|error| unavailable("act", &error))?;
            acted.extend(part.iter().copied().filter(|id| done.contains(&id.uuid())));
        }
        match &target {
            Some(ReplayInto::Tasks(topics)) => {
                topics.bump();
                self.database.bell.ring(Told::DueTimes);
            }
            Some(ReplayInto::Outbox) => self.database.relay.committed(),
            None => {}
        }
        Ok(acted)
    }
}

/// Of several who act on a letter, the first one does: the others wait for it here and find it gone.
const LOCK: &str = "SELECT letter.id FROM aftercommit.dead_letters AS letter \
     WHERE letter.id = ANY ($1) AND ($2::uuid IS NULL OR NOT EXISTS (\
       SELECT FROM aftercommit.dead_letter_actions AS action \
       WHERE action.id = letter.id AND action.bulk_run_id = $2)) \
     ORDER BY letter.id FOR UPDATE OF letter";

const RECORD: &str = "INSERT INTO aftercommit.dead_letter_actions \
       (id, organization_id, project_id, action, actor, at, topic, fingerprint, died_at, deaths, first_died_at, \
        replaced, bulk_run_id) \
     SELECT id, organization_id, project_id, $2, $3, aftercommit.clock(), topic, fingerprint, died_at, deaths, \
       coalesce(first_died_at, died_at), CASE WHEN $4 THEN body END, $5 \
     FROM aftercommit.dead_letters WHERE id = ANY ($1) ORDER BY entry";

const CORRECT: &str =
    "UPDATE aftercommit.dead_letters SET body = $2, order_key = hashtextextended($3, 0) WHERE id = ANY ($1)";

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

/// Without the letter, what its handlers did would be forgotten before the task has run again.
const RENEW_CLAIMS: &str = "UPDATE aftercommit.inbox SET claimed_at = aftercommit.clock() WHERE message_id = ANY ($1)";

async fn carry_out(
    connection: &mut PgConnection,
    asked: Vec<Uuid>,
    by: By,
    target: Option<ReplayInto>,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let mut transaction = sqlx::Connection::begin(connection).await?;
    let keys = match target {
        Some(ReplayInto::Tasks(_)) => take_turns(&mut transaction, &asked, by.corrected.as_deref()).await?,
        Some(ReplayInto::Outbox) | None => Vec::new(),
    };
    let ids: Vec<Uuid> = sqlx::query_scalar(LOCK)
        .bind(&asked)
        .bind(by.bulk_run)
        .fetch_all(&mut *transaction)
        .await?;
    sqlx::query(RECORD)
        .bind(&ids)
        .bind(by.act.as_str())
        .bind(&by.actor)
        .bind(by.corrected.is_some())
        .bind(by.bulk_run)
        .execute(&mut *transaction)
        .await?;
    if let Some(corrected) = &by.corrected {
        sqlx::query(CORRECT)
            .bind(&ids)
            .bind(corrected.body.as_slice())
            .bind(corrected.order_text.as_deref())
            .execute(&mut *transaction)
            .await?;
    }
    let into = match target {
        Some(ReplayInto::Tasks(_)) => Some(INTO_TASKS),
        Some(ReplayInto::Outbox) => Some(INTO_OUTBOX),
        None => None,
    };
    if let Some(into) = into {
        sqlx::query(into).bind(&ids).execute(&mut *transaction).await?;
        sqlx::query(RENEW_CLAIMS).bind(&ids).execute(&mut *transaction).await?;
    }
    sqlx::query("DELETE FROM aftercommit.dead_letters WHERE id = ANY ($1)")
        .bind(&ids)
        .execute(&mut *transaction)
        .await?;
    if !keys.is_empty() {
        sqlx::query("SELECT aftercommit.tasks_bring_forward($1)")
            .bind(&keys)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(ids)
}

/// Waits for whoever orders tasks of the letters' order keys. Answers the keys.
async fn take_turns(
    connection: &mut PgConnection,
    ids: &[Uuid],
    corrected: Option<&Corrected>,
) -> Result<Vec<i64>, sqlx::Error> {
    let keys: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT key FROM (\
           SELECT order_key FROM aftercommit.dead_letters WHERE id = ANY ($1) \
           UNION ALL SELECT hashtextextended($2, 0)) AS line (key) WHERE key IS NOT NULL",
    )
    .bind(ids)
    .bind(corrected.and_then(|corrected| corrected.order_text.as_deref()))
    .fetch_all(&mut *connection)
    .await?;
    if !keys.is_empty() {
        sqlx::query("SELECT aftercommit.tasks_take_turns($1)")
            .bind(&keys)
            .execute(connection)
            .await?;
    }
    Ok(keys)
}
