//! Schedules: what is published again and again, and when.

mod cron;
mod declaration;
mod kept;
mod tick;
mod timetable;
mod zone;

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::{
    Cause, Json, OrderKey, OrganizationId, ProjectId, ScheduleKey, TaskEnvelope, TaskName, Tenant, TopicName,
};
use crate::ids::MessageId;
use crate::tasks::{Coalescing, InvalidCoalescing, WhenActive};
use crate::time::Timestamp;

pub use cron::{CronExpression, InvalidCron};
pub use declaration::{InvalidSchedule, ScheduleDeclaration};
pub use kept::{KeptSchedule, ScheduleOrigin, SchedulePause};
pub use tick::{MISFIRE_GRACE, PlannedTick, Tick, TickOutcome, TickPlan};
pub use timetable::{Slots, Timetable};
pub use zone::Zone;

/// Which schedule: a key and whose it is. Two tenants may have one of the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScheduleId {
    /// Whose it is.
    pub tenant: Tenant,
    /// Its key.
    pub key: ScheduleKey,
}

/// What is published again and again. Made by [`Schedule::declare`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its key, and whose it and its tasks are.
    pub id: ScheduleId,
    /// When.
    pub timetable: Timetable,
    /// What becomes of slots that came while nobody was there.
    pub misfire: Misfire,
    /// What becomes of a slot that comes before the task of the last one is over.
    pub overlap: Overlap,
    /// What is published.
    pub task: ScheduledTask,
}

/// What a schedule publishes at each slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledTask {
    /// The topic.
    pub topic: TopicName,
    /// The task of the topic.
    pub task: TaskName,
    /// The payload's version.
    pub version: u16,
    /// The payload: the same each time. The slot is told apart from it.
    pub payload: Json,
    /// The order of the task, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_key: Option<OrderKey>,
    /// How it is one task with others of its key, where overlapping is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coalescing: Option<Coalescing>,
}

/// What becomes of slots that came while nobody was there: those that are [`MISFIRE_GRACE`] late, and those before the latest
/// that is due. None of them is lost without a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Misfire {
    /// Nothing: all of them are recorded as missed.
    Skip,
    /// The latest one fires; those before it are recorded as missed.
    #[default]
    Once,
    /// The last `max` fire, each with its own slot; those before them are recorded as missed.
    All {
        /// How many at most: 1 to [`Misfire::MOST`].
        max: u32,
    },
}

impl Misfire {
    /// The most slots that are made up for.
    pub const MOST: u32 = 100;
}

/// What becomes of a slot that comes before the task of the last one is over: done, skipped, cancelled or dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is skipped, which is recorded.
    #[default]
    Skip,
    /// It fires all the same.
    Allow,
}

/// The namespace of the ids of ticks; a name of our own, and never another.
const TICKS: Uuid = Uuid::from_u128(0x5b0e_6f0a_92d1_5c57_a3d4_0c8e_7d11_be36);

impl Schedule {
    /// The task of a slot. Its id is derived from the schedule and the slot, so that it is the same whoever makes it.
    pub fn task_of_slot(&self, slot: Timestamp, now: Timestamp) -> TaskEnvelope {
        self.envelope(self.id.task_id(slot), slot, now)
    }

    /// A task by hand, besides the slots.
    pub fn task_by_hand(&self, id: MessageId, now: Timestamp) -> TaskEnvelope {
        self.envelope(id, now, now)
    }

    fn envelope(&self, id: MessageId, slot: Timestamp, now: Timestamp) -> TaskEnvelope {
        let task = &self.task;
        TaskEnvelope {
            id,
            topic: task.topic.clone(),
            task: task.task.clone(),
            version: task.version,
            tenant: self.id.tenant.clone(),
            attempt: 1,
            enqueued_at: now,
            first_enqueued_at: now,
            not_before: None,
            deadline: None,
            order_key: task.order_key.clone(),
            coalescing: self.coalescing(),
            slot: Some(slot),
            cause: Cause::root().rooted_at(id),
            payload: task.payload.clone(),
        }
    }

    /// A task that must not overlap with the one before is known to the database wherever it is, also with a broker.
    fn coalescing(&self) -> Option<Coalescing> {
        match self.overlap {
            Overlap::Skip => {
                let key = format!("schedule {}", self.id.key);
                Some(Coalescing::while_active(key, WhenActive::Skip))
            }
            Overlap::Allow => self.task.coalescing.clone(),
        }
    }

    /// Refuses what cannot be meant.
    fn check(&self) -> Result<(), InvalidSchedule> {
        if let Misfire::All { max } = self.misfire
            && !(1..=Misfire::MOST).contains(&max)
        {
            return Err(InvalidSchedule::Misfire { got: max });
        }
        let checked: Result<(), InvalidCoalescing> = self.coalescing().map_or(Ok(()), |coalescing| {
            coalescing.check(false, self.task.order_key.is_some())
        });
        checked.map_err(InvalidSchedule::Coalescing)
    }
}

impl ScheduleId {
    /// A schedule of the system itself.
    pub fn system(key: ScheduleKey) -> Self {
        let tenant = Tenant::System;
        Self { tenant, key }
    }

    /// The id of the task of a slot.
    pub fn task_id(&self, slot: Timestamp) -> MessageId {
        let organization = self.tenant.organization_id().map_or("", OrganizationId::as_str);
        let project = self.tenant.project_id().map_or("", ProjectId::as_str);
        let name = format!(
            "{organization}\u{1f}{project}\u{1f}{}\u{1f}{}",
            self.key,
            slot.timestamp_micros()
        );
        MessageId::from(TICKS).derive(&name)
    }
}

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.key, self.tenant)
    }
}
