//! Writing down how deliveries ended: all of a group in a handful of statements.

use std::collections::HashMap;
use std::sync::Arc;

use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::SettleError;
use serde::Serialize;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use crate::columns::{json_list, micros};
use crate::dead_letters::{AGAIN, died_before};
use crate::options::RecordSuccesses;
use crate::queue::consumer::Consumer;
use crate::queue::insertion::promote;
use crate::writer::{WriteError, WriterContext};

/// A delivery to settle.
pub(crate) struct SettleJob {
    pub(crate) seq: i64,
    pub(crate) token: i64,
    pub(crate) ordering: Option<String>,
    pub(crate) settlement: Settlement,
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) reply: oneshot::Sender<Result<(), SettleError>>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Settlement {
    Completed,
    Ended {
        outcome: &'static str,
        reason: String,
    },
    Retry {
        due_at: i64,
        counted: bool,
        failure: Option<Failure>,
    },
    Dead {
        failure: Failure,
    },
    SetAside,
}

impl Settlement {
    /// Whether the task is over.
    const fn is_end(&self) -> bool {
        match self {
            Self::Completed | Self::Ended { .. } | Self::Dead { .. } => true,
            Self::Retry { .. } | Self::SetAside => false,
        }
    }
}

/// A finished task as `json_each` reads it.
#[derive(Debug, Serialize)]
pub(crate) struct Ending {
    pub(crate) seq: i64,
    pub(crate) outcome: &'static str,
    pub(crate) code: Option<String>,
    pub(crate) reason: String,
    /// Of a task that was given up.
    #[serde(flatten)]
    pub(crate) letter: Option<Letter>,
}

/// What a dead letter keeps besides the row.
#[derive(Debug, Serialize)]
pub(crate) struct Letter {
    fingerprint: String,
    /// JSON in JSON: the store keeps it as text.
    failure: String,
}

impl Ending {
    pub(crate) fn dead(seq: i64, failure: &Failure) -> Self {
        Self {
            seq,
            outcome: "dead",
            code: Some(failure.code.to_string()),
            reason: failure.message.clone(),
            letter: Some(Letter {
                fingerprint: failure.fingerprint(),
                failure: serde_json::to_string(failure).unwrap_or_default(),
            }),
        }
    }
}

#[derive(Debug, Serialize)]
struct Again {
    seq: i64,
    due_at: i64,
    counted: i64,
    code: Option<String>,
    reason: Option<String>,
}

/// Writes how all of `jobs` ended. Their leases are known to hold: a lease cannot run out once its end is being written.
pub(crate) async fn apply(
    connection: &mut SqliteConnection,
    jobs: &[SettleJob],
    context: &WriterContext,
) -> Result<(), sqlx::Error> {
    let now = micros(context.clock.now());
    let (mut completed, mut endings, mut again, mut aside) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for job in jobs {
        let seq = job.seq;
        match &job.settlement {
            Settlement::Completed => completed.push(seq),
            Settlement::Ended { outcome, reason } => endings.push(Ending {
                seq,
                outcome,
                code: None,
                reason: reason.clone(),
                letter: None,
            }),
            Settlement::Dead { failure } => endings.push(Ending::dead(seq, failure)),
            Settlement::SetAside => aside.push(seq),
            Settlement::Retry {
                due_at,
                counted,
                failure,
            } => again.push(Again {
                seq,
                due_at: *due_at,
                counted: i64::from(*counted),
                code: failure.as_ref().map(|failure| failure.code.to_string()),
                reason: failure.as_ref().map(|failure| failure.message.clone()),
            }),
        }
    }
    if !completed.is_empty() {
        complete(connection, &completed, now, context).await?;
    }
    if !endings.is_empty() {
        end(connection, &endings, now).await?;
    }
    if !again.is_empty() {
        try_again(connection, &again).await?;
    }
    if !aside.is_empty() {
        sqlx::query("UPDATE aftercommit_tasks SET state = 3 WHERE seq IN (SELECT value FROM json_each(?1))")
            .bind(json_list(aside))
            .execute(&mut *connection)
            .await?;
    }
    let finished = jobs.iter().filter(|job| job.settlement.is_end());
    let keys = finished.filter_map(|job| Some((job.consumer.topic.name.as_str(), job.ordering.as_deref()?)));
    promote(connection, keys).await
}

/// Answers every job of a group, frees its leases and tells its consumers how much room they have.
pub(crate) fn finish(jobs: Vec<SettleJob>, result: &Result<(), WriteError>, context: &WriterContext) {
    let mut consumers: HashMap<u64, Settled> = HashMap::new();
    for job in &jobs {
        let settled = consumers
            .entry(job.consumer.id)
            .or_insert_with(|| Settled::of(&job.consumer));
        settled.leases.push((job.seq, job.token));
        // A retry has a new time, and after the end of an ordered task comes the next of its key.
        settled.may_free |= job.ordering.is_some() || matches!(job.settlement, Settlement::Retry { .. });
    }
    for settled in consumers.values() {
        let topic = &settled.consumer.topic;
        match result {
            Ok(()) => {
                let leases = settled.leases.iter().copied();
                context.sheet.end(topic.forget(leases, &context.topics));
                if settled.may_free {
                    topic.wake.bump();
                }
            }
            Err(_) => {
                for (seq, token) in &settled.leases {
                    topic.settling_failed(*seq, *token, settled.consumer.lease_end());
                }
            }
        }
    }
    for job in jobs {
        let answer = result.clone().map_err(|error| SettleError::Unavailable {
            reason: error.to_string(),
        });
        // The worker may have gone away; what was written stays written.
        let _ = job.reply.send(answer);
    }
    for settled in consumers.into_values() {
        settled.consumer.release(settled.leases.len());
    }
}

/// What a group settled of one consumer.
struct Settled {
    consumer: Arc<Consumer>,
    leases: Vec<(i64, i64)>,
    may_free: bool,
}

impl Settled {
    fn of(consumer: &Arc<Consumer>) -> Self {
        Self {
            consumer: Arc::clone(consumer),
            leases: Vec::new(),
            may_free: false,
        }
    }
}

async fn complete(
    connection: &mut SqliteConnection,
    seqs: &[i64],
    now: i64,
    context: &WriterContext,
) -> Result<(), sqlx::Error> {
    let list = json_list(seqs.iter().copied());
    let recorded = match context.record_successes {
        RecordSuccesses::All => list.clone(),
        RecordSuccesses::Sampled => json_list(seqs.iter().copied().filter(|_| context.randomness.unit() < 0.01)),
        RecordSuccesses::None => "[]".to_owned(),
    };
    if recorded.len() > "[]".len() {
        sqlx::query(
            "INSERT INTO aftercommit_task_outcomes (id, topic, task, organization_id, project_id, attempts, outcome, \
               enqueued_at, finished_at, correlation_id, causation_id) \
             SELECT t.id, t.topic, t.task, t.organization_id, t.project_id, t.attempts + 1, 'completed', \
               t.enqueued_at, ?2, t.correlation_id, t.causation_id \
             FROM json_each(?1) done CROSS JOIN aftercommit_tasks t ON t.seq = done.value",
        )
        .bind(recorded)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    }
    delete(connection, list).await
}

async fn delete(connection: &mut SqliteConnection, seqs: String) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM aftercommit_tasks WHERE seq IN (SELECT value FROM json_each(?1))")
        .bind(seqs)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends tasks with more to say than that they completed, and keeps those that were given up.
pub(crate) async fn end(connection: &mut SqliteConnection, endings: &[Ending], now: i64) -> Result<(), sqlx::Error> {
    let list = serde_json::to_string(endings).unwrap_or_default();
    sqlx::query(
        "INSERT INTO aftercommit_task_outcomes (id, topic, task, organization_id, project_id, attempts, outcome, code, \
           reason, enqueued_at, finished_at, correlation_id, causation_id) \
         SELECT t.id, t.topic, t.task, t.organization_id, t.project_id, t.attempts + 1, e.value ->> 'outcome', \
           e.value ->> 'code', e.value ->> 'reason', t.enqueued_at, ?2, t.correlation_id, t.causation_id \
         FROM json_each(?1) e CROSS JOIN aftercommit_tasks t ON t.seq = e.value ->> 'seq'",
    )
    .bind(&list)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    if endings.iter().any(|ending| ending.letter.is_some()) {
        keep(connection, &list, now).await?;
    }
    delete(connection, json_list(endings.iter().map(|ending| ending.seq))).await
}

/// Keeps those of `endings` that were given up.
async fn keep(connection: &mut SqliteConnection, endings: &str, now: i64) -> Result<(), sqlx::Error> {
    let sql = format!(
        "INSERT INTO aftercommit_dead_letters (id, topic, task, organization_id, project_id, order_scope, attempts, \
           code, fingerprint, failure, enqueued_at, died_at, correlation_id, causation_id, body, deaths, first_died_at) \
         SELECT t.id, t.topic, t.task, t.organization_id, t.project_id, t.order_scope, t.attempts + 1, \
           e.value ->> 'code', e.value ->> 'fingerprint', e.value ->> 'failure', t.enqueued_at, ?2, t.correlation_id, \
           t.causation_id, t.body, {} \
         FROM json_each(?1) e CROSS JOIN aftercommit_tasks t ON t.seq = e.value ->> 'seq' \
         WHERE e.value ->> 'outcome' = 'dead' \
         ON CONFLICT (id) DO UPDATE SET {AGAIN}",
        died_before("t.id", "?2")
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(endings)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// A run that ended with a result was not lost, so that only losses in a row count.
async fn try_again(connection: &mut SqliteConnection, again: &[Again]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE aftercommit_tasks SET due_at = a.value ->> 'due_at', attempts = attempts + (a.value ->> 'counted'), \
           failure_code = a.value ->> 'code', failure = a.value ->> 'reason', lost_runs = 0, lost_alone = 0 \
         FROM json_each(?1) a WHERE seq = a.value ->> 'seq'",
    )
    .bind(serde_json::to_string(again).unwrap_or_default())
    .execute(connection)
    .await?;
    Ok(())
}

/// Counts lost runs, and gives up the tasks that lost too many on their own: whoever was running beside others when the
/// process died may have had nothing to do with it.
pub(crate) async fn record_lost(
    connection: &mut SqliteConnection,
    seqs: &[i64],
    were_alone: bool,
    max_lost_runs: u32,
    now: i64,
) -> Result<(), sqlx::Error> {
    if seqs.is_empty() {
        return Ok(());
    }
    let list = json_list(seqs.iter().copied());
    sqlx::query(
        "UPDATE aftercommit_tasks SET lost_runs = lost_runs + 1, lost_alone = lost_alone + ?2 \
         WHERE seq IN (SELECT value FROM json_each(?1))",
    )
    .bind(&list)
    .bind(i64::from(were_alone))
    .execute(&mut *connection)
    .await?;
    let hopeless: Vec<(i64, i64, String, Option<String>)> = sqlx::query_as(
        "SELECT seq, lost_runs, topic, order_scope FROM aftercommit_tasks \
         WHERE seq IN (SELECT value FROM json_each(?1)) AND lost_alone >= ?2",
    )
    .bind(&list)
    .bind(i64::from(max_lost_runs))
    .fetch_all(&mut *connection)
    .await?;
    if hopeless.is_empty() {
        return Ok(());
    }
    let endings: Vec<Ending> = hopeless
        .iter()
        .map(|(seq, lost, _, _)| {
            let message = format!("{lost} runs of it ended without a result: its process died or its lease ran out");
            Ending::dead(*seq, &Failure::new("task.lost", ErrorClass::Permanent, message))
        })
        .collect();
    end(connection, &endings, now).await?;
    let keys = hopeless
        .iter()
        .filter_map(|(_, _, topic, scope)| Some((topic.as_str(), scope.as_deref()?)));
    promote(connection, keys).await
}
