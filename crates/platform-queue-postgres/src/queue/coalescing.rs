//! Publishes that are to be coalesced: what is known of their keys is read under the turns of the keys, what becomes of them is
//! decided, and that is written, in one transaction.

mod lane;

use std::collections::{HashMap, HashSet};

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    CoalescingCandidate, CoalescingPlan, CoalescingPolicy, KnownKey, KnownTask, Published, WindowKey,
};
use aftercommit_domain::time::Timestamp;
use sqlx::{Connection as _, FromRow, PgConnection};
use uuid::Uuid;

use crate::queue::new_tasks::{NewTask, Replacements, Rows};

pub(crate) use lane::{CoalesceJob, CoalescingLane, Uncoalesced};

/// A publish that is to be coalesced.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) task: NewTask,
    pub(crate) scope: String,
    pub(crate) policy: CoalescingPolicy,
    pub(crate) not_before: Option<Timestamp>,
}

/// What became of publishes, and the tasks that are new or have another time.
pub(crate) struct Coalesced {
    pub(crate) answers: Vec<Published>,
    pub(crate) changed: Vec<NewTask>,
}

/// Publishes `candidates` in their order, all or none.
pub(crate) async fn publish(connection: &mut PgConnection, candidates: &[Candidate]) -> Result<Coalesced, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let keys: HashSet<WindowKey<'_>> = candidates.iter().map(Candidate::key).collect();
    let keys: Vec<WindowKey<'_>> = keys.into_iter().collect();
    let rows = read(&mut transaction, candidates, &keys).await?;
    let (now, applied, known) = known(rows, &keys)?;
    let seen: Vec<CoalescingCandidate<'_>> = candidates.iter().map(Candidate::seen).collect();
    let plan = CoalescingPlan::of(&seen, applied, known, now);
    let changed = apply(&mut transaction, candidates, &plan).await?;
    transaction.commit().await?;
    Ok(Coalesced {
        answers: plan.answers,
        changed,
    })
}

impl Candidate {
    pub(crate) fn key(&self) -> WindowKey<'_> {
        (self.task.topic(), &self.scope)
    }

    fn seen(&self) -> CoalescingCandidate<'_> {
        CoalescingCandidate {
            id: self.task.id().into(),
            key: self.key(),
            policy: self.policy,
            not_before: self.not_before,
            is_ordered: self.task.ordering().is_some(),
        }
    }
}

#[derive(FromRow)]
struct KnownRow {
    kind: i16,
    place: i64,
    seq: Option<i64>,
    id: Option<Uuid>,
    at: Option<Timestamp>,
    opened_at: Option<Timestamp>,
    is_running: Option<bool>,
    is_ordered: Option<bool>,
}

async fn read(
    connection: &mut PgConnection,
    candidates: &[Candidate],
    keys: &[WindowKey<'_>],
) -> Result<Vec<KnownRow>, sqlx::Error> {
    let (order_topics, order_scopes): (Vec<_>, Vec<_>) = candidates
        .iter()
        .filter_map(|one| Some((one.task.topic().as_str(), one.task.ordering()?)))
        .unzip();
    sqlx::query_as("SELECT * FROM aftercommit.windows_read($1, $2, $3, $4, $5)")
        .bind(candidates.iter().map(|one| one.task.id()).collect::<Vec<_>>())
        .bind(keys.iter().map(|(topic, _)| topic.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|(_, scope)| *scope).collect::<Vec<_>>())
        .bind(order_topics)
        .bind(order_scopes)
        .fetch_all(connection)
        .await
}

type Known<'k> = (Timestamp, HashSet<MessageId>, HashMap<WindowKey<'k>, KnownKey>);

/// What the rows say: the time, the publishes that came before, and the keys. Nothing is decided on what is not understood.
fn known<'k>(rows: Vec<KnownRow>, keys: &[WindowKey<'k>]) -> Result<Known<'k>, sqlx::Error> {
    let strange = || sqlx::Error::Protocol("aftercommit.windows_read answered a row that nobody here knows".into());
    let (mut now, mut applied) = (None, HashSet::new());
    let mut known: HashMap<WindowKey<'k>, KnownKey> = HashMap::new();
    for row in rows {
        // Places are counted from 1.
        let place = usize::try_from(row.place - 1).ok();
        let key = place.and_then(|place| keys.get(place)).copied();
        match (row.kind, row.id, key) {
            (0, _, _) => now = row.at,
            (1, Some(id), Some(key)) => known.entry(key).or_default().tasks.push(KnownTask {
                row: row.seq.ok_or_else(strange)?,
                id: id.into(),
                due_at: row.at.ok_or_else(strange)?,
                opened_at: row.opened_at,
                is_running: row.is_running.ok_or_else(strange)?,
                is_ordered: row.is_ordered.ok_or_else(strange)?,
            }),
            (2, Some(id), Some(key)) => known.entry(key).or_default().once = Some(id.into()),
            (3, Some(id), _) => drop(applied.insert(id.into())),
            _ => return Err(strange()),
        }
    }
    Ok((now.ok_or_else(strange)?, applied, known))
}

/// Answers the tasks that are new or have another time.
async fn apply(
    connection: &mut PgConnection,
    candidates: &[Candidate],
    plan: &CoalescingPlan,
) -> Result<Vec<NewTask>, sqlx::Error> {
    let candidate = |at: &usize| candidates.get(*at);
    let mut new_tasks = Vec::with_capacity(plan.new.len());
    let (mut new_scopes, mut new_opened) = (Vec::new(), Vec::new());
    for new in &plan.new {
        let Some(Candidate { task, scope, .. }) = candidate(&new.candidate) else {
            continue;
        };
        new_tasks.push(task.due(new.due_at));
        new_scopes.push(scope.as_str());
        new_opened.push(new.opened_at);
    }
    let rows = Rows::of(new_tasks.iter());
    let mut replacements = Replacements::default();
    let mut changed = Vec::with_capacity(plan.replaced.len() + new_tasks.len());
    for (seq, at, due_at) in &plan.replaced {
        if let Some(Candidate { task, .. }) = candidate(at) {
            let task = task.due(*due_at);
            replacements.add(*seq, &task, *due_at);
            changed.push(task);
        }
    }
    let once: Vec<(&Candidate, Timestamp)> = plan
        .once
        .iter()
        .filter_map(|(at, until)| Some((candidate(at)?, *until)))
        .collect();
    let query = sqlx::query_scalar(
        "SELECT aftercommit.windows_apply($19, $20, $12, $13, $14, $15, $16, $17, $18, \
           $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30)",
    );
    let () = replacements
        .bound(rows.bound(query))
        .bind(&plan.removed)
        .bind(&plan.closed)
        .bind(new_scopes)
        .bind(new_opened)
        .bind(
            once.iter()
                .map(|(one, _)| one.task.topic().as_str())
                .collect::<Vec<_>>(),
        )
        .bind(once.iter().map(|(one, _)| one.scope.as_str()).collect::<Vec<_>>())
        .bind(once.iter().map(|(one, _)| one.task.id()).collect::<Vec<_>>())
        .bind(once.iter().map(|(_, until)| *until).collect::<Vec<_>>())
        .bind(plan.coalesced.iter().map(|(id, _)| id.uuid()).collect::<Vec<_>>())
        .bind(plan.coalesced.iter().map(|(_, task)| task.uuid()).collect::<Vec<_>>())
        .bind(plan.superseded.iter().map(|(gone, _)| gone.uuid()).collect::<Vec<_>>())
        .bind(plan.superseded.iter().map(|(_, by)| by.uuid()).collect::<Vec<_>>())
        .fetch_one(connection)
        .await?;
    changed.extend(new_tasks);
    Ok(changed)
}
