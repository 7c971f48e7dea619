//! Publishes that are to be coalesced: what is known of their keys is read, what becomes of them is decided, and that is
//! written, in one transaction of the one writer.

mod job;

use std::collections::{HashMap, HashSet};

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    CoalescingCandidate, CoalescingPlan, CoalescingPolicy, KnownKey, KnownTask, Published, WindowKey,
};
use aftercommit_domain::time::Timestamp;
use sqlx::{FromRow, QueryBuilder, SqliteConnection};
use uuid::Uuid;

use crate::claims::Topics;
use crate::columns::{json_list, micros, timestamp};
use crate::queue::insertion::{NewTask, Sequence, promote};
use crate::queue::windowed::{self, Replacement, WindowedTask};

pub(crate) use job::{CoalesceJob, apply, finish};

/// How many rows one statement adds.
const ROWS: usize = 64;

/// A publish that is to be coalesced.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) task: NewTask,
    pub(crate) scope: String,
    pub(crate) policy: CoalescingPolicy,
    pub(crate) not_before: Option<Timestamp>,
}

/// Publishes `candidates` in their order at `now`. Answers what became of each.
async fn publish(
    connection: &mut SqliteConnection,
    candidates: &[&Candidate],
    topics: &Topics,
    sequence: &Sequence,
    now: Timestamp,
) -> Result<Vec<Published>, sqlx::Error> {
    let applied = applied(connection, candidates).await?;
    let known = known(connection, candidates, topics, now).await?;
    let seen: Vec<CoalescingCandidate<'_>> = candidates.iter().map(|one| one.seen()).collect();
    let plan = CoalescingPlan::of(&seen, applied, known, now);
    write(connection, candidates, &plan, sequence, now).await?;
    Ok(plan.answers)
}

impl Candidate {
    fn key(&self) -> WindowKey<'_> {
        (self.task.topic(), &self.scope)
    }

    fn seen(&self) -> CoalescingCandidate<'_> {
        CoalescingCandidate {
            id: self.task.message_id(),
            key: self.key(),
            policy: self.policy,
            not_before: self.not_before,
            is_ordered: self.task.is_ordered(),
        }
    }
}

/// Those of the publishes that were made before: coalesced, or as a task of its own that is not over.
async fn applied(
    connection: &mut SqliteConnection,
    candidates: &[&Candidate],
) -> Result<HashSet<MessageId>, sqlx::Error> {
    let ids = candidates
        .iter()
        .map(|one| one.task.message_id().uuid().simple().to_string());
    let applied: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM aftercommit_coalesced WHERE id IN (SELECT unhex(value) FROM json_each(?1)) \
             UNION ALL \
             SELECT id FROM aftercommit_tasks WHERE id IN (SELECT unhex(value) FROM json_each(?1))",
    )
    .bind(serde_json::to_string(&ids.collect::<Vec<_>>()).unwrap_or_default())
    .fetch_all(connection)
    .await?;
    Ok(applied.into_iter().map(MessageId::from).collect())
}

#[derive(FromRow)]
struct KnownRow {
    place: i64,
    seq: i64,
    id: Uuid,
    due_at: i64,
    window_opened_at: Option<i64>,
    is_ordered: bool,
}

/// What is stored about the keys of the publishes.
async fn known<'c>(
    connection: &mut SqliteConnection,
    candidates: &[&'c Candidate],
    topics: &Topics,
    now: Timestamp,
) -> Result<HashMap<WindowKey<'c>, KnownKey>, sqlx::Error> {
    let keys: HashSet<WindowKey<'c>> = candidates.iter().map(|one| one.key()).collect();
    let keys: Vec<WindowKey<'c>> = keys.into_iter().collect();
    let list: Vec<(&str, &str)> = keys.iter().map(|(topic, scope)| (topic.as_str(), *scope)).collect();
    let list = serde_json::to_string(&list).unwrap_or_default();
    let rows: Vec<KnownRow> = sqlx::query_as(
        "SELECT k.key AS place, t.seq, t.id, t.due_at, t.window_opened_at, t.order_scope IS NOT NULL AS is_ordered \
         FROM json_each(?1) k CROSS JOIN aftercommit_tasks t INDEXED BY aftercommit_tasks_window \
           ON t.topic = k.value ->> 0 AND t.window_scope = k.value ->> 1 \
         ORDER BY t.seq",
    )
    .bind(&list)
    .fetch_all(&mut *connection)
    .await?;
    let once: Vec<(i64, Uuid)> = sqlx::query_as(
        "SELECT k.key, o.id FROM json_each(?1) k CROSS JOIN aftercommit_once o \
           ON o.topic = k.value ->> 0 AND o.window_scope = k.value ->> 1 \
         WHERE o.until > ?2",
    )
    .bind(&list)
    .bind(micros(now))
    .fetch_all(connection)
    .await?;
    let key_at = |place: i64| usize::try_from(place).ok().and_then(|place| keys.get(place)).copied();
    let mut known: HashMap<WindowKey<'c>, KnownKey> = HashMap::new();
    for row in rows {
        let Some(key) = key_at(row.place) else { continue };
        known.entry(key).or_default().tasks.push(KnownTask {
            row: row.seq,
            id: row.id.into(),
            due_at: timestamp(row.due_at),
            opened_at: row.window_opened_at.map(timestamp),
            is_running: topics.topic(key.0).is_running(row.seq),
            is_ordered: row.is_ordered,
        });
    }
    for (place, id) in once {
        let Some(key) = key_at(place) else { continue };
        known.entry(key).or_default().once = Some(id.into());
    }
    Ok(known)
}

async fn write(
    connection: &mut SqliteConnection,
    candidates: &[&Candidate],
    plan: &CoalescingPlan,
    sequence: &Sequence,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let left = remove(connection, &plan.removed).await?;
    if !plan.closed.is_empty() {
        sqlx::query(
            "UPDATE aftercommit_tasks SET window_opened_at = NULL WHERE seq IN (SELECT value FROM json_each(?1))",
        )
        .bind(json_list(plan.closed.iter().copied()))
        .execute(&mut *connection)
        .await?;
    }
    let replaced = plan.replaced.iter().filter_map(|(seq, at, due_at)| {
        let task = &candidates.get(*at)?.task;
        Some(Replacement {
            seq: *seq,
            task,
            due_at: micros(*due_at),
        })
    });
    windowed::replace(connection, &replaced.collect::<Vec<_>>()).await?;
    let numbered = (sequence.reserve(plan.new.len())..).zip(&plan.new);
    let new = numbered.filter_map(|(seq, new)| {
        let Candidate { task, scope, .. } = candidates.get(new.candidate)?;
        Some(WindowedTask {
            seq,
            task,
            due_at: micros(new.due_at),
            scope,
            opened_at: new.opened_at.map(micros),
        })
    });
    windowed::insert(connection, &new.collect::<Vec<_>>()).await?;
    promote(
        connection,
        left.iter().map(|(topic, scope)| (topic.as_str(), scope.as_str())),
    )
    .await?;
    for (at, until) in &plan.once {
        let Some(candidate) = candidates.get(*at) else { continue };
        sqlx::query(
            "INSERT INTO aftercommit_once (topic, window_scope, id, until) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (topic, window_scope) DO UPDATE SET id = excluded.id, until = excluded.until",
        )
        .bind(candidate.task.topic().as_str())
        .bind(&candidate.scope)
        .bind(candidate.task.message_id().uuid())
        .bind(micros(*until))
        .execute(&mut *connection)
        .await?;
    }
    windowed::supersede(connection, &plan.superseded).await?;
    for part in plan.coalesced.chunks(ROWS) {
        let mut query = QueryBuilder::new("INSERT INTO aftercommit_coalesced (id, task, coalesced_at) ");
        query.push_values(part, |mut row, (id, task)| {
            row.push_bind(id.uuid()).push_bind(task.uuid()).push_bind(micros(now));
        });
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes these tasks out. Answers the order keys that they had.
async fn remove(connection: &mut SqliteConnection, seqs: &[i64]) -> Result<Vec<(String, String)>, sqlx::Error> {
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let left: Vec<(String, Option<String>)> = sqlx::query_as(
        "DELETE FROM aftercommit_tasks WHERE seq IN (SELECT value FROM json_each(?1)) RETURNING topic, order_scope",
    )
    .bind(json_list(seqs.iter().copied()))
    .fetch_all(connection)
    .await?;
    Ok(left
        .into_iter()
        .filter_map(|(topic, scope)| Some((topic, scope?)))
        .collect())
}
