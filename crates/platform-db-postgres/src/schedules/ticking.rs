//! What becomes of slots, in one statement.

use aftercommit_domain::contract::{Limits, TaskEnvelope};
use aftercommit_domain::events::{OutboxError, OutboxMessage};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{KeptSchedule, Overlap, PlannedTick, SchedulesError, TickOutcome, TickPlan};
use aftercommit_domain::time::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::rows::scope_of;

/// Ticks, column by column.
#[derive(Default)]
pub(super) struct TickColumns {
    slots: Vec<Timestamp>,
    last_slots: Vec<Timestamp>,
    counts: Vec<i64>,
    outcomes: Vec<&'static str>,
    tasks: Vec<Option<Uuid>>,
    orders: Vec<Option<String>>,
    bodies: Vec<Option<Vec<u8>>>,
}

impl TickColumns {
    /// The columns of ticks; refuses a task over the limits.
    pub(super) fn of(ticks: &[PlannedTick], limits: &Limits) -> Result<Self, SchedulesError> {
        let mut columns = Self::default();
        for tick in ticks {
            let message = tick.task.as_ref().map(|task| OutboxMessage::Task(task.clone()));
            columns.slots.push(tick.slot);
            columns.last_slots.push(tick.last_slot);
            columns.counts.push(i64::try_from(tick.slots).unwrap_or(i64::MAX));
            columns.outcomes.push(tick.outcome.as_str());
            columns.tasks.push(message.as_ref().map(|message| message.id().uuid()));
            columns.orders.push(message.as_ref().and_then(OutboxMessage::ordering));
            columns
                .bodies
                .push(tick.task.as_ref().map(|task| body(task, limits)).transpose()?);
        }
        Ok(columns)
    }

    /// Carries out `plan`; who ordered it, when it is by hand. Answers the time and whether the last task was not over;
    /// `None` when the schedule is no longer what was planned for.
    pub(super) async fn carry_out(
        self,
        connection: &mut PgConnection,
        plan: &TickPlan,
        by_hand: Option<&str>,
    ) -> Result<Option<(Timestamp, bool)>, sqlx::Error> {
        let (organization, project) = scope_of(&plan.id);
        sqlx::query_as(
            "SELECT decided_at, was_active FROM aftercommit.schedule_tick(\
               $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(organization)
        .bind(project)
        .bind(plan.id.key.as_str())
        .bind(plan.revision)
        .bind(plan.from_slot)
        .bind(plan.next_slot)
        .bind(plan.skips_overlap)
        .bind(by_hand)
        .bind(self.slots)
        .bind(self.last_slots)
        .bind(self.counts)
        .bind(self.outcomes)
        .bind(self.tasks)
        .bind(self.orders)
        .bind(self.bodies)
        .fetch_optional(connection)
        .await
    }
}

/// A task as it is stored; refuses one over the limits.
fn body(task: &TaskEnvelope, limits: &Limits) -> Result<Vec<u8>, SchedulesError> {
    let tenant = task.tenant.clone();
    let raw = OutboxMessage::Task(task.clone()).to_raw(&tenant, limits);
    raw.map(|raw| raw.body).map_err(|error| match error {
        OutboxError::Limit(limit) => SchedulesError::Limit(limit),
        other => SchedulesError::Refused {
            operation: "tick",
            reason: other.to_string(),
        },
    })
}

/// The plan of a task by hand.
pub(super) fn by_hand(kept: &KeptSchedule, id: MessageId, now: Timestamp) -> TickPlan {
    TickPlan {
        id: kept.schedule.id.clone(),
        revision: kept.revision,
        from_slot: now,
        next_slot: None,
        skips_overlap: kept.schedule.overlap == Overlap::Skip,
        ticks: vec![PlannedTick {
            slot: now,
            last_slot: now,
            slots: 1,
            outcome: TickOutcome::Fired,
            task: Some(kept.schedule.task_by_hand(id, now)),
        }],
    }
}
