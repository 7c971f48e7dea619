//! A schedule as it is kept: what it is, and how far it is.

use serde::{Deserialize, Serialize};

use super::{Misfire, Overlap, Schedule, ScheduleId, ScheduledTask, Tick, TickOutcome, Timetable};
use crate::ids::MessageId;
use crate::tasks::SchedulePauseOrder;
use crate::time::Timestamp;

/// A schedule and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSchedule {
    /// What it is.
    pub schedule: Schedule,
    /// Where it comes from.
    pub origin: ScheduleOrigin,
    /// Raised with each change of what it is and of its pause.
    pub revision: i64,
    /// The next slot that nothing was decided about. `None` when there is none within 50 years.
    pub next_slot: Option<Timestamp>,
    /// The newest slot that was decided about, and what was decided.
    pub last: Option<(Timestamp, TickOutcome)>,
    /// The task of the newest slot that fired.
    pub last_task: Option<MessageId>,
    /// Its latest pause, over or not.
    pub pause: Option<SchedulePause>,
}

/// Where a schedule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleOrigin {
    /// An application's code says it.
    Declared,
    /// It was put at run time.
    MadeAtRunTime,
}

/// A time in which a schedule does not fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulePause {
    /// From when on, by the store's clock.
    pub since: Timestamp,
    /// Who paused it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Until when; `None` for until it is resumed.
    pub until: Option<Timestamp>,
    /// Who resumed it, if anybody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_by: Option<String>,
}

impl ScheduleOrigin {
    /// The word it is stored as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::MadeAtRunTime => "made_at_run_time",
        }
    }

    /// From the word it is stored as.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Declared, Self::MadeAtRunTime]
            .into_iter()
            .find(|origin| origin.as_str() == word)
    }
}

impl SchedulePause {
    /// The pause that is ordered at `now`. One that holds goes on with another reason and end.
    pub fn ordered(before: Option<Self>, order: SchedulePauseOrder, now: Timestamp) -> Self {
        let goes_on = before.filter(|pause| pause.holds_at(now));
        Self {
            since: goes_on.map_or(now, |pause| pause.since),
            until: order.until.time(now),
            by: order.by,
            reason: order.reason,
            resumed_by: None,
        }
    }

    /// The same, over since `now`.
    #[must_use]
    pub fn ended_by(self, by: &str, now: Timestamp) -> Self {
        Self {
            until: Some(now),
            resumed_by: Some(by.into()),
            ..self
        }
    }

    /// Whether it holds at `time`.
    pub fn holds_at(&self, time: Timestamp) -> bool {
        self.since <= time && self.until.is_none_or(|until| time < until)
    }
}

impl KeptSchedule {
    /// A schedule that nobody knew before.
    pub fn new(schedule: Schedule, origin: ScheduleOrigin, now: Timestamp) -> Self {
        Self {
            next_slot: schedule.timetable.next_after(now),
            schedule,
            origin,
            revision: 1,
            last: None,
            last_task: None,
            pause: None,
        }
    }

    /// What it becomes when it is to be `schedule`, and the record of what is missed by that. When its times are what they
    /// were, it goes on where it was.
    pub fn changed_to(&self, schedule: &Schedule, origin: ScheduleOrigin, now: Timestamp) -> (Self, Option<Tick>) {
        let goes_on = self.schedule.timetable == schedule.timetable;
        let changed = Self {
            next_slot: if goes_on {
                self.next_slot
            } else {
                schedule.timetable.next_after(now)
            },
            schedule: schedule.clone(),
            origin,
            revision: self.revision + 1,
            ..self.clone()
        };
        (changed, if goes_on { None } else { self.missed_until(now) })
    }

    /// What it is after these ticks of a plan.
    pub fn after_ticks(&self, next_slot: Option<Timestamp>, ticks: &[Tick]) -> Self {
        let newest = ticks.last().map(|tick| (tick.last_slot, tick.outcome));
        Self {
            next_slot,
            last: newest.or(self.last),
            last_task: ticks.iter().rev().find_map(|tick| tick.task).or(self.last_task),
            ..self.clone()
        }
    }

    /// Whether it is paused now.
    pub fn is_paused_at(&self, now: Timestamp) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.holds_at(now))
    }
}

/// What of a schedule stores keep as one document.
#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(flatten)]
    timetable: Timetable,
    misfire: Misfire,
    overlap: Overlap,
    task: ScheduledTask,
}

impl Schedule {
    /// What it is, without whose it is: the same text for the same, on every process.
    pub fn document(&self) -> String {
        let document = Document {
            timetable: self.timetable.clone(),
            misfire: self.misfire,
            overlap: self.overlap,
            task: self.task.clone(),
        };
        // Every part is plain data, so this cannot fail.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// Reads what [`document`](Self::document) wrote.
    ///
    /// # Errors
    /// The text is none, or of a newer build.
    pub fn from_document(id: ScheduleId, text: &str) -> Result<Self, serde_json::Error> {
        let document: Document = serde_json::from_str(text)?;
        Ok(Self {
            id,
            timetable: document.timetable,
            misfire: document.misfire,
            overlap: document.overlap,
            task: document.task,
        })
    }
}
