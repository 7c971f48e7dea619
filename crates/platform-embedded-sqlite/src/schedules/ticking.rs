//! What becomes of slots, in one transaction.

use aftercommit_domain::contract::{Limits, TaskEnvelope};
use aftercommit_domain::events::{OutboxError, OutboxMessage, RawOutboxMessage};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{KeptSchedule, Overlap, ScheduleId, SchedulesError, Tick, TickPlan};
use aftercommit_domain::time::Timestamp;
use sqlx::SqliteConnection;

use super::rows::{read, record, scope_of, write};
use crate::columns::micros;

/// A plan, with its messages checked. May be run again after a group of writes was rolled back.
#[derive(Clone)]
pub(super) struct TickJob {
    plan: TickPlan,
}

impl TickJob {
    pub(super) fn of(plan: TickPlan, limits: &Limits) -> Result<Self, SchedulesError> {
        for task in plan.ticks.iter().filter_map(|tick| tick.task.as_ref()) {
            raw(task, limits)?;
        }
        Ok(Self { plan })
    }

    pub(super) async fn run(
        self,
        connection: &mut SqliteConnection,
        now: Timestamp,
    ) -> Result<Option<Vec<Tick>>, sqlx::Error> {
        let plan = self.plan;
        let Some(row) = read(connection, &plan.id).await? else {
            return Ok(None);
        };
        let (declared_at, position) = (row.declared_at(), row.last_position());
        let kept = row.into_kept()?;
        if (kept.revision, kept.next_slot) != (plan.revision, Some(plan.from_slot)) {
            return Ok(None);
        }
        let is_active = is_active(connection, kept.last_task, position).await?;
        let (id, next_slot) = (plan.id.clone(), plan.next_slot);
        let mut ticks = Vec::new();
        let mut position = None;
        for planned in plan.decided(is_active) {
            let tick = planned.recorded(now);
            if record(connection, &id, &tick).await? {
                if let Some(task) = planned.task {
                    position = Some(append(connection, task, now).await?);
                }
                ticks.push(tick);
            }
        }
        write(connection, &kept.after_ticks(next_slot, &ticks), declared_at).await?;
        if let Some(position) = position {
            note_position(connection, &id, position).await?;
        }
        Ok(Some(ticks))
    }
}

/// A task besides the slots. The inner error is one of the task, for which nothing was written.
pub(super) async fn run_now(
    connection: &mut SqliteConnection,
    id: &ScheduleId,
    by: &str,
    task_id: MessageId,
    limits: &Limits,
    now: Timestamp,
) -> Result<Option<Result<Tick, SchedulesError>>, sqlx::Error> {
    let Some(row) = read(connection, id).await? else {
        return Ok(None);
    };
    let (declared_at, position) = (row.declared_at(), row.last_position());
    let kept = row.into_kept()?;
    if kept.schedule.overlap == Overlap::Skip && is_active(connection, kept.last_task, position).await? {
        let tick = Tick::by_hand(by, None, now);
        record(connection, id, &tick).await?;
        return Ok(Some(Ok(tick)));
    }
    let task = kept.schedule.task_by_hand(task_id, now);
    if let Err(error) = raw(&task, limits) {
        return Ok(Some(Err(error)));
    }
    let position = append(connection, task, now).await?;
    let tick = Tick::by_hand(by, Some(task_id), now);
    record(connection, id, &tick).await?;
    let changed = KeptSchedule {
        last_task: Some(task_id),
        ..kept
    };
    write(connection, &changed, declared_at).await?;
    note_position(connection, id, position).await?;
    Ok(Some(Ok(tick)))
}

/// Whether a task is not over: it waits to be published, or for a worker, or for its next attempt, or is being run.
async fn is_active(
    connection: &mut SqliteConnection,
    task: Option<MessageId>,
    position: Option<i64>,
) -> Result<bool, sqlx::Error> {
    let Some(task) = task else {
        return Ok(false);
    };
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM aftercommit_outbox WHERE position = ?2 AND id = ?1 AND state <> 2) \
           OR EXISTS (SELECT 1 FROM aftercommit_tasks WHERE id = ?1)",
    )
    .bind(task.uuid())
    .bind(position)
    .fetch_one(connection)
    .await
}

/// Writes a task into the outbox. Answers its position.
async fn append(connection: &mut SqliteConnection, task: TaskEnvelope, now: Timestamp) -> Result<i64, sqlx::Error> {
    let organization = task.tenant.organization_id().map(|id| id.as_str().to_owned());
    let body = task.encode().into_bytes();
    let message = OutboxMessage::Task(task);
    sqlx::query_scalar(
        "INSERT INTO aftercommit_outbox (id, kind, written_at, ordering, organization_id, body) \
         VALUES (?1, 'task', ?2, ?3, ?4, ?5) RETURNING position",
    )
    .bind(message.id().uuid())
    .bind(micros(now))
    .bind(message.ordering())
    .bind(organization)
    .bind(body)
    .fetch_one(connection)
    .await
}

async fn note_position(connection: &mut SqliteConnection, id: &ScheduleId, position: i64) -> Result<(), sqlx::Error> {
    let (organization, project) = scope_of(id);
    sqlx::query(
        "UPDATE aftercommit_schedules SET last_position = ?4 \
         WHERE organization_id = ?1 AND project_id = ?2 AND key = ?3",
    )
    .bind(organization)
    .bind(project)
    .bind(id.key.as_str())
    .bind(position)
    .execute(connection)
    .await?;
    Ok(())
}

/// The message as it is stored; refuses one over the limits.
fn raw(task: &TaskEnvelope, limits: &Limits) -> Result<RawOutboxMessage, SchedulesError> {
    let tenant = task.tenant.clone();
    OutboxMessage::Task(task.clone())
        .to_raw(&tenant, limits)
        .map_err(|error| match error {
            OutboxError::Limit(limit) => SchedulesError::Limit(limit),
            other => SchedulesError::Refused {
                operation: "tick",
                reason: other.to_string(),
            },
        })
}
