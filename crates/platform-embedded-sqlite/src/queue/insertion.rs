//! Adding tasks to their table: all of a group in a few statements.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};

use aftercommit_domain::contract::{CorrelationId, OrganizationId, ProjectId, TaskEnvelope, TaskName, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::to_micros;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::columns::micros;
use crate::writer::{WriteError, WriterContext};

/// A row to add.
#[derive(Debug, Clone)]
pub(crate) struct NewTask {
    pub(super) id: Uuid,
    pub(super) topic: TopicName,
    pub(super) task: TaskName,
    pub(super) organization: Option<OrganizationId>,
    pub(super) project: Option<ProjectId>,
    due_at: i64,
    pub(super) ordering: Option<String>,
    pub(super) enqueued_at: i64,
    pub(super) correlation: Option<CorrelationId>,
    pub(super) causation: Option<Uuid>,
    pub(super) body: Vec<u8>,
}

impl NewTask {
    pub(crate) fn new(message: &TaskEnvelope, ordering: Option<String>, body: String, now: i64) -> Self {
        Self {
            id: message.id.uuid(),
            topic: message.topic.clone(),
            task: message.task.clone(),
            organization: message.tenant.organization_id().cloned(),
            project: message.tenant.project_id().cloned(),
            due_at: message.not_before.map_or(now, |time| micros(to_micros(time)).max(now)),
            ordering,
            enqueued_at: micros(message.first_enqueued_at),
            correlation: message.cause.correlation.clone(),
            causation: message.cause.causation.map(MessageId::uuid),
            body: body.into_bytes(),
        }
    }

    pub(crate) fn message_id(&self) -> MessageId {
        self.id.into()
    }

    pub(crate) const fn is_ordered(&self) -> bool {
        self.ordering.is_some()
    }

    pub(crate) const fn topic(&self) -> &TopicName {
        &self.topic
    }
}

/// Numbers tasks in the order they are written. A number that was not used stays unused, so it never means two tasks.
#[derive(Debug)]
pub(crate) struct Sequence {
    next: AtomicI64,
}

impl Sequence {
    pub(crate) fn starting_at(next: i64) -> Self {
        Self {
            next: AtomicI64::new(next),
        }
    }

    /// The first of this many numbers in a row.
    pub(crate) fn reserve(&self, numbers: usize) -> i64 {
        self.next
            .fetch_add(i64::try_from(numbers).unwrap_or(i64::MAX), Ordering::SeqCst)
    }
}

/// Tasks of one call.
pub(crate) struct PublishJob {
    pub(crate) tasks: Vec<NewTask>,
    pub(crate) is_new: Vec<bool>,
    pub(crate) reply: oneshot::Sender<Result<Vec<bool>, WriteError>>,
}

impl PublishJob {
    pub(crate) fn bytes(&self) -> usize {
        self.tasks.iter().map(|task| task.body.len()).sum()
    }

    pub(crate) fn tasks(&self) -> usize {
        self.tasks.len()
    }
}

/// Adds the tasks of all `jobs`, in order, and notes which were there already.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    jobs: &mut [PublishJob],
    sequence: &Sequence,
) -> Result<(), sqlx::Error> {
    let mut rows = Vec::new();
    let mut repeated = Vec::new();
    {
        let mut ids = HashSet::new();
        let mut heads = HashSet::new();
        for (job_at, job) in jobs.iter().enumerate() {
            for (at, task) in job.tasks.iter().enumerate() {
                if !ids.insert(task.id) {
                    repeated.push((job_at, at));
                    continue;
                }
                let place = match &task.ordering {
                    None => Place::Free,
                    // The first of its key in this transaction waits only when an older one is unfinished.
                    Some(scope) if heads.insert((&task.topic, scope)) => Place::Head,
                    Some(_) => Place::Behind,
                };
                rows.push((job_at, at, task, place));
            }
        }
        let has_ordered = rows.iter().any(|(_, _, _, place)| *place != Place::Free);
        let mut there_already = Vec::new();
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(part_size(rest.len()));
            let known = insert_part(connection, part, has_ordered, sequence.reserve(part.len())).await?;
            for (job_at, at, task, _) in part {
                if known.contains(&task.id) {
                    there_already.push((*job_at, *at));
                }
            }
            rest = after;
        }
        if has_ordered && !there_already.is_empty() {
            // A head that was there already may be of another key, and then nothing is before its followers.
            let keys = rows.iter().filter_map(|(_, _, task, _)| {
                let scope = task.ordering.as_deref()?;
                Some((task.topic.as_str(), scope))
            });
            promote(connection, keys).await?;
        }
        repeated.extend(there_already);
    }
    for (job_at, at) in repeated {
        if let Some(flag) = jobs.get_mut(job_at).and_then(|job| job.is_new.get_mut(at)) {
            *flag = false;
        }
    }
    Ok(())
}

/// Answers every job of a group and wakes the consumers of its topics.
pub(crate) fn finish(jobs: Vec<PublishJob>, result: &Result<(), WriteError>, context: &WriterContext) {
    let mut woken = HashSet::new();
    if result.is_ok() {
        for task in jobs.iter().flat_map(|job| &job.tasks) {
            if woken.insert(&task.topic) {
                context.topics.wake(&task.topic);
            }
        }
    }
    for job in jobs {
        let answer = result.clone().map(|()| job.is_new);
        // The caller may have gone away; the tasks are there all the same.
        let _ = job.reply.send(answer);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Free,
    Head,
    Behind,
}

/// Three sizes, so that three prepared statements serve every number of rows.
fn part_size(left: usize) -> usize {
    match left {
        0..8 => 1,
        8..64 => 8,
        64.. => 64,
    }
}

const COLUMNS: &str = "seq, id, topic, task, organization_id, project_id, state, due_at, order_scope, enqueued_at, \
    correlation_id, causation_id, body";

/// Of an ordered row: behind another of its transaction, or behind an unfinished one from before.
const ORDERED_STATE: &str = "coalesce(?, CASE WHEN EXISTS (SELECT 1 FROM aftercommit_tasks WHERE topic = ? AND order_scope = ?) THEN 2 ELSE 0 END)";

/// One statement that adds `rows` rows. Its parameters have no numbers: binding a numbered one looks through all of them.
fn insert_sql(rows: usize, is_ordered: bool) -> String {
    let state = if is_ordered { ORDERED_STATE } else { "?" };
    let row = format!("(?, ?, ?, ?, ?, ?, {state}, ?, ?, ?, ?, ?, ?)");
    format!(
        "INSERT INTO aftercommit_tasks ({COLUMNS}) VALUES {} ON CONFLICT (id) DO NOTHING",
        vec![row.as_str(); rows].join(", ")
    )
}

type Statements = LazyLock<[String; 3]>;
static FREE: Statements = LazyLock::new(|| [1, 8, 64].map(|rows| insert_sql(rows, false)));
static ORDERED: Statements = LazyLock::new(|| [1, 8, 64].map(|rows| insert_sql(rows, true)));

/// Adds the rows of one statement. Answers the ids that were there already.
async fn insert_part(
    connection: &mut SqliteConnection,
    part: &[(usize, usize, &NewTask, Place)],
    has_ordered: bool,
    first_seq: i64,
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let [one, eight, many] = if has_ordered { &*ORDERED } else { &*FREE };
    let sql: &'static str = match part.len() {
        1 => one,
        8 => eight,
        _ => many,
    };
    let mut query = sqlx::query(sql);
    for (seq, (_, _, task, place)) in (first_seq..).zip(part) {
        let state = match place {
            Place::Free => Some(0_i64),
            Place::Head => None,
            Place::Behind => Some(2),
        };
        query = query
            .bind(seq)
            .bind(task.id)
            .bind(task.topic.as_str())
            .bind(task.task.as_str())
            .bind(task.organization.as_ref().map(OrganizationId::as_str))
            .bind(task.project.as_ref().map(ProjectId::as_str))
            .bind(state);
        if has_ordered {
            query = query.bind(task.topic.as_str()).bind(task.ordering.as_deref());
        }
        query = query
            .bind(task.due_at)
            .bind(task.ordering.as_deref())
            .bind(task.enqueued_at)
            .bind(task.correlation.as_ref().map(CorrelationId::as_str))
            .bind(task.causation)
            .bind(task.body.as_slice());
    }
    let added = query.execute(&mut *connection).await?.rows_affected();
    if usize::try_from(added).is_ok_and(|added| added == part.len()) {
        return Ok(HashSet::new());
    }
    let ids: Vec<String> = part
        .iter()
        .map(|(_, _, task, _)| task.id.simple().to_string())
        .collect();
    let known: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM aftercommit_tasks \
         WHERE id IN (SELECT unhex(value) FROM json_each(?1)) AND seq < ?2",
    )
    .bind(serde_json::to_string(&ids).unwrap_or_default())
    .bind(first_seq)
    .fetch_all(connection)
    .await?;
    Ok(known.into_iter().collect())
}

/// Makes the oldest unfinished task of each of these order keys ready, where it waited behind another.
pub(crate) async fn promote<'k>(
    connection: &mut SqliteConnection,
    keys: impl IntoIterator<Item = (&'k str, &'k str)>,
) -> Result<(), sqlx::Error> {
    let keys: HashSet<(&str, &str)> = keys.into_iter().collect();
    if keys.is_empty() {
        return Ok(());
    }
    let keys: Vec<(&str, &str)> = keys.into_iter().collect();
    sqlx::query(
        "UPDATE aftercommit_tasks SET state = 0 WHERE state = 2 AND seq IN (\
           SELECT (SELECT min(t.seq) FROM aftercommit_tasks t \
                   WHERE t.topic = k.value ->> 0 AND t.order_scope = k.value ->> 1) \
           FROM json_each(?1) k)",
    )
    .bind(serde_json::to_string(&keys).unwrap_or_default())
    .execute(connection)
    .await?;
    Ok(())
}
