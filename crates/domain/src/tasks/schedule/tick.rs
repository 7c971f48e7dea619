//! What becomes of slots that are due: decided here, carried out by the stores.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{KeptSchedule, Misfire, Overlap, ScheduleId};
use crate::contract::TaskEnvelope;
use crate::ids::MessageId;
use crate::time::{self, Timestamp};

/// A slot that is decided about later than this after its time is a misfire.
pub const MISFIRE_GRACE: Duration = time::minutes(1);

/// What became of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TickOutcome {
    /// Its task was published.
    Fired,
    /// The last one's task was not over.
    SkippedOverlap,
    /// The schedule was paused.
    SkippedPaused,
    /// Nobody was there, and the schedule does not make up for it; or its task is over a limit.
    Missed,
}

impl TickOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fired, Self::SkippedOverlap, Self::SkippedPaused, Self::Missed];

    /// The word it is stored as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::SkippedOverlap => "skipped_overlap",
            Self::SkippedPaused => "skipped_paused",
            Self::Missed => "missed",
        }
    }

    /// From the word it is stored as.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// The record of one slot, or of a row of slots that came to the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The slot; of several the first. Of a run by hand, when it was ordered.
    pub slot: Timestamp,
    /// The last of the slots.
    pub last_slot: Timestamp,
    /// How many slots.
    pub slots: u64,
    /// What became of them.
    pub outcome: TickOutcome,
    /// The task, when it fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<MessageId>,
    /// Who ordered it, of a run by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When this was decided, by the store's clock.
    pub at: Timestamp,
}

impl Tick {
    /// The record of a run by hand; without a task when the last one was not over.
    pub fn by_hand(by: &str, task: Option<MessageId>, now: Timestamp) -> Self {
        Self {
            slot: now,
            last_slot: now,
            slots: 1,
            outcome: if task.is_some() {
                TickOutcome::Fired
            } else {
                TickOutcome::SkippedOverlap
            },
            task,
            by: Some(by.into()),
            at: now,
        }
    }
}

/// What is to be recorded of due slots, and what to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTick {
    /// The slot; of several the first.
    pub slot: Timestamp,
    /// The last of the slots.
    pub last_slot: Timestamp,
    /// How many slots.
    pub slots: u64,
    /// What becomes of them.
    pub outcome: TickOutcome,
    /// What is published, when it fires.
    pub task: Option<TaskEnvelope>,
}

/// What becomes of the slots of a schedule that are due, carried out whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickPlan {
    /// Of which schedule.
    pub id: ScheduleId,
    /// What the schedule was when this was planned: carried out only if it is that still.
    pub revision: i64,
    /// The first slot that nothing was decided about then: carried out only if it is that still.
    pub from_slot: Timestamp,
    /// The next one after this.
    pub next_slot: Option<Timestamp>,
    /// Whether nothing fires while the last task is not over: what would, is skipped.
    pub skips_overlap: bool,
    /// In the order of their slots.
    pub ticks: Vec<PlannedTick>,
}

impl TickPlan {
    /// What becomes of the slots of `kept` that are due at `now`. `None` when none is.
    ///
    /// Slots in a pause are skipped. While one holds, those before it are missed; when it is over, too, since later ones are
    /// due. Of the others the latest fires when it is not late; the rest goes by the schedule's [`Misfire`].
    pub fn of(kept: &KeptSchedule, now: Timestamp) -> Option<Self> {
        let from_slot = kept.next_slot.filter(|slot| *slot <= now)?;
        let schedule = &kept.schedule;
        let mut plan = Self {
            id: schedule.id.clone(),
            revision: kept.revision,
            from_slot,
            next_slot: schedule.timetable.next_after(now),
            skips_overlap: schedule.overlap == Overlap::Skip,
            ticks: Vec::new(),
        };
        let start = just_before(from_slot);
        let after_pause = match &kept.pause {
            Some(pause) if pause.since <= now && pause.until.is_none_or(|until| until > from_slot) => {
                let since = just_before(pause.since).max(start);
                let until = pause.until.map_or(now, |until| just_before(until).min(now));
                plan.add_range(kept, start, since, TickOutcome::Missed);
                plan.add_range(kept, since, until, TickOutcome::SkippedPaused);
                until.max(since)
            }
            Some(_) | None => start,
        };
        if !kept.is_paused_at(now) {
            plan.add_regular(kept, after_pause, now);
        }
        Some(plan)
    }

    /// The slots after `after` up to `until` that no pause holds back.
    fn add_regular(&mut self, kept: &KeptSchedule, after: Timestamp, until: Timestamp) {
        let schedule = &kept.schedule;
        let most = match schedule.misfire {
            Misfire::Skip | Misfire::Once => 1,
            Misfire::All { max } => max.clamp(1, Misfire::MOST),
        };
        let most = usize::try_from(most).unwrap_or(1);
        let due = schedule.timetable.between(after, until, most);
        let Some(latest) = due.last.last().copied() else {
            return;
        };
        let is_late = time::after(latest, MISFIRE_GRACE) < until;
        let firing: &[Timestamp] = match schedule.misfire {
            Misfire::Skip if is_late => &[],
            Misfire::Skip | Misfire::Once | Misfire::All { .. } => &due.last,
        };
        let before_firing = firing.first().map_or(until, |first| just_before(*first));
        self.add_range(kept, after, before_firing, TickOutcome::Missed);
        for (number, slot) in firing.iter().enumerate() {
            // The task of the first is not over when the second comes.
            let is_behind = self.skips_overlap && number > 0;
            self.ticks.push(PlannedTick {
                slot: *slot,
                last_slot: *slot,
                slots: 1,
                outcome: if is_behind {
                    TickOutcome::SkippedOverlap
                } else {
                    TickOutcome::Fired
                },
                task: (!is_behind).then(|| schedule.task_of_slot(*slot, until)),
            });
        }
    }

    /// One record for all slots after `after` up to `until`, if there are any.
    fn add_range(&mut self, kept: &KeptSchedule, after: Timestamp, until: Timestamp, outcome: TickOutcome) {
        if until <= after {
            return;
        }
        let timetable = &kept.schedule.timetable;
        let range = timetable.between(after, until, 1);
        if let (Some(first), Some(last)) = (timetable.next_after(after), range.last.last()) {
            self.ticks.push(PlannedTick {
                slot: first,
                last_slot: *last,
                slots: range.count,
                outcome,
                task: None,
            });
        }
    }

    /// The same where its tasks cannot be published: what would fire is missed. So a schedule whose task is over a limit has
    /// its records, and its next slot, like any other.
    #[must_use]
    pub fn without_tasks(mut self) -> Self {
        for tick in &mut self.ticks {
            if tick.task.take().is_some() {
                tick.outcome = TickOutcome::Missed;
            }
        }
        self
    }

    /// The records, given whether the last task is not over; what fires keeps its task.
    pub fn decided(mut self, is_last_active: bool) -> Vec<PlannedTick> {
        if self.skips_overlap && is_last_active {
            for tick in &mut self.ticks {
                if tick.task.take().is_some() {
                    tick.outcome = TickOutcome::SkippedOverlap;
                }
            }
        }
        self.ticks
    }
}

impl PlannedTick {
    /// The record of it, decided at `at`.
    pub fn recorded(&self, at: Timestamp) -> Tick {
        Tick {
            slot: self.slot,
            last_slot: self.last_slot,
            slots: self.slots,
            outcome: self.outcome,
            task: self.task.as_ref().map(|task| task.id),
            by: None,
            at,
        }
    }
}

impl KeptSchedule {
    /// The record of the slots that nobody has decided about when the timetable is replaced at `now`.
    pub fn missed_until(&self, now: Timestamp) -> Option<Tick> {
        let from_slot = self.next_slot.filter(|slot| *slot <= now)?;
        let range = self.schedule.timetable.between(just_before(from_slot), now, 1);
        Some(Tick {
            slot: from_slot,
            last_slot: range.last.last().copied().unwrap_or(from_slot),
            slots: range.count.max(1),
            outcome: TickOutcome::Missed,
            task: None,
            by: None,
            at: now,
        })
    }
}

/// Slots are whole seconds, so that nothing is between.
fn just_before(time: Timestamp) -> Timestamp {
    time::before(time, Duration::from_micros(1))
}
