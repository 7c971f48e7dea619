//! How an application says what it schedules.

use serde::Serialize;

use super::{InvalidCron, Misfire, Overlap, Schedule, ScheduleId, ScheduledTask, Timetable, Zone};
use crate::contract::{InvalidJson, InvalidName, Json, Limits, ScheduleKey};
use crate::failure::{Classified, ErrorClass};
use crate::tasks::{InvalidCoalescing, Task};

/// A schedule that does not say yet what it publishes.
#[derive(Debug, Clone)]
pub struct ScheduleDeclaration {
    key: String,
    cron: String,
    zone: String,
    misfire: Misfire,
    overlap: Overlap,
}

/// A schedule that cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSchedule {
    /// Its key.
    #[error(transparent)]
    Key(#[from] InvalidName),
    /// Its times or its zone.
    #[error(transparent)]
    Cron(#[from] InvalidCron),
    /// How many slots it makes up for.
    #[error("misfire all makes up for 1 to {} slots, not {got}", Misfire::MOST)]
    Misfire {
        /// What it was.
        got: u32,
    },
    /// How its tasks are coalesced.
    #[error(transparent)]
    Coalescing(InvalidCoalescing),
    /// Its payload: a limit or the JSON itself.
    #[error("the payload of {contract}: {source}")]
    Payload {
        /// The task.
        contract: String,
        /// The reason.
        source: InvalidJson,
    },
    /// Its payload's `Serialize` refused. One with sealed values does: it would be stored long before there is a message to
    /// seal them for.
    #[error("the payload of {contract} cannot be kept: {reason}")]
    Serialise {
        /// The task.
        contract: String,
        /// The reason.
        reason: String,
    },
}

impl Classified for InvalidSchedule {
    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Key(_) => "schedule.key",
            Self::Cron(error) => error.code(),
            Self::Misfire { .. } => "schedule.misfire",
            Self::Coalescing(error) => error.code(),
            Self::Payload { source, .. } => source.code(),
            Self::Serialise { .. } => "payload.unserialisable",
        }
    }
}

impl Schedule {
    /// A schedule of this key that fires at these times, in UTC if nothing else is said. What is wrong is told by
    /// [`publishes`](ScheduleDeclaration::publishes).
    ///
    /// ```
    /// use aftercommit_domain::tasks::{Misfire, Schedule, Task};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize, Task)]
    /// #[task(topic = "digests", name = "trigger-weekly", version = 1)]
    /// #[exempt(system, "fans out to every project")]
    /// struct TriggerWeekly {}
    ///
    /// let schedule = Schedule::declare("weekly-digest", "0 9 * * 5")
    ///     .zone("Europe/Berlin")
    ///     .misfire(Misfire::Once)
    ///     .publishes(&TriggerWeekly {})
    ///     .unwrap();
    /// assert_eq!(schedule.task.topic.as_str(), "digests");
    /// ```
    pub fn declare(key: impl Into<String>, cron: impl Into<String>) -> ScheduleDeclaration {
        ScheduleDeclaration {
            key: key.into(),
            cron: cron.into(),
            zone: Zone::UTC.name().into(),
            misfire: Misfire::default(),
            overlap: Overlap::default(),
        }
    }
}

impl ScheduleDeclaration {
    /// On clocks of this zone of the IANA database. Defaults to `UTC`.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = zone.into();
        self
    }

    /// What becomes of slots that came while nobody was there. Defaults to [`Misfire::Once`].
    pub fn misfire(mut self, misfire: Misfire) -> Self {
        self.misfire = misfire;
        self
    }

    /// What becomes of a slot that comes before the last one's task is over. Defaults to [`Overlap::Skip`].
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// What it publishes at each slot, for the tenant of `task`. The handler learns the slot from
    /// [`TaskContext::slot`](crate::tasks::TaskContext::slot).
    ///
    /// # Errors
    /// [`InvalidSchedule`]: what is wrong with any part of it.
    pub fn publishes<T: Task>(self, task: &T) -> Result<Schedule, InvalidSchedule> {
        self.publishes_within(task, &Limits::default())
    }

    /// The same for an application with limits of its own.
    ///
    /// # Errors
    /// As [`publishes`](Self::publishes).
    pub fn publishes_within<T: Task>(self, task: &T, limits: &Limits) -> Result<Schedule, InvalidSchedule> {
        let schedule = Schedule {
            id: ScheduleId {
                tenant: task.tenant(),
                key: ScheduleKey::new(self.key)?,
            },
            timetable: Timetable {
                cron: self.cron.parse()?,
                zone: self.zone.parse()?,
            },
            misfire: self.misfire,
            overlap: self.overlap,
            task: ScheduledTask {
                topic: T::TOPIC,
                task: T::NAME,
                version: T::VERSION,
                payload: payload_of(task, limits)?,
                order_key: task.order_key(),
                coalescing: task.coalescing(),
            },
        };
        schedule.check()?;
        Ok(schedule)
    }
}

fn payload_of<T: Task + Serialize>(task: &T, limits: &Limits) -> Result<Json, InvalidSchedule> {
    let text = serde_json::to_string(task).map_err(|error| InvalidSchedule::Serialise {
        contract: T::contract_name(),
        reason: error.to_string(),
    })?;
    Json::parse(text, limits).map_err(|source| InvalidSchedule::Payload {
        contract: T::contract_name(),
        source,
    })
}
