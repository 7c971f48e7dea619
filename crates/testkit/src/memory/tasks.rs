//! The tasks of all topics, and what became of those that ended.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Cause, Limits, TaskEnvelope, TopicName};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{HeldTask, TaskPlace, TaskState, TaskSummary};
use aftercommit_domain::time::{Timestamp, after};

use super::consumers::Consumers;
use super::windows::{Window, Windows};

/// Tasks by their place: the number each got when it was published.
#[derive(Default)]
pub(super) struct Tasks {
    pub(super) rows: BTreeMap<u64, Row>,
    places: HashMap<MessageId, u64>,
    topics: HashMap<TopicName, BTreeSet<u64>>,
    pub(super) running: BTreeSet<u64>,
    pub(super) ended: BTreeMap<u64, Ended>,
    pub(super) ended_places: HashMap<MessageId, u64>,
    consumers: Consumers,
    pub(super) windows: Windows,
    numbers: u64,
}

pub(super) struct Row {
    pub(super) id: MessageId,
    pub(super) topic: TopicName,
    pub(super) body: Arc<[u8]>,
    pub(super) envelope: Option<TaskEnvelope>,
    pub(super) ordering: Option<String>,
    pub(super) added_at: Timestamp,
    /// Counted attempts that ended.
    pub(super) attempts: u32,
    pub(super) redelivered: bool,
    pub(super) failure: Option<Failure>,
    pub(super) state: RowState,
    pub(super) window: Option<Window>,
    /// A pause holds it.
    pub(super) is_aside: bool,
    /// An open unit of work changes it.
    pub(super) is_withheld: bool,
}

pub(super) enum RowState {
    Waiting { due: Option<Timestamp> },
    Running(Run),
}

pub(super) struct Run {
    pub(super) token: u64,
    consumer: u64,
    lease: Duration,
    until: Timestamp,
    /// Whether its delivery still exists.
    pub(super) held: bool,
    /// When it was due, for a give-back.
    pub(super) due: Option<Timestamp>,
}

/// A task that is over, without its payload.
pub(super) struct Ended {
    pub(super) summary: TaskSummary,
    pub(super) code: Option<String>,
    pub(super) cause: Option<Cause>,
}

/// Proves that a row was taken, and by whom it may be settled.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    pub(super) place: u64,
    pub(super) token: u64,
}

/// A row as it was taken.
pub(super) struct Taken {
    pub(super) lease: Lease,
    pub(super) topic: TopicName,
    pub(super) body: Arc<[u8]>,
    pub(super) attempt: u32,
    pub(super) redelivered: bool,
}

impl Row {
    pub(super) fn new(id: MessageId, topic: TopicName, body: Arc<[u8]>, limits: &Limits, now: Timestamp) -> Self {
        let envelope = TaskEnvelope::decode(&body, limits).ok();
        Self {
            id,
            topic,
            body,
            ordering: envelope.as_ref().and_then(TaskEnvelope::ordering),
            added_at: now,
            attempts: envelope.as_ref().map_or(0, |task| task.attempt.saturating_sub(1)),
            redelivered: false,
            failure: None,
            state: RowState::Waiting {
                due: envelope.as_ref().and_then(|task| task.not_before),
            },
            window: None,
            is_aside: false,
            is_withheld: false,
            envelope,
        }
    }

    /// A task that a broker's queue hands over.
    pub(super) fn held(held: HeldTask, now: Timestamp) -> Self {
        let due = after(now, held.wait);
        Self {
            id: held.task.id,
            topic: held.task.topic.clone(),
            body: held.body,
            ordering: held.task.ordering(),
            added_at: now,
            attempts: held.attempts,
            redelivered: held.lost_runs > 0,
            failure: held.failure,
            state: RowState::Waiting {
                due: Some(held.task.not_before.map_or(due, |not_before| not_before.max(due))),
            },
            window: None,
            is_aside: held.is_aside,
            is_withheld: false,
            envelope: Some(held.task),
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        match &self.state {
            RowState::Waiting { due } => !self.is_aside && !self.is_withheld && due.is_none_or(|due| due <= now),
            RowState::Running(_) => false,
        }
    }

    pub(super) fn task_state(&self, now: Timestamp) -> TaskState {
        match (&self.state, &self.failure) {
            (RowState::Running(_), _) => TaskState::Running,
            (RowState::Waiting { .. }, _) if self.is_aside => TaskState::Paused,
            (RowState::Waiting { .. }, _) if self.is_due(now) => TaskState::Available,
            (RowState::Waiting { .. }, Some(_)) => TaskState::Retryable,
            (RowState::Waiting { .. }, None) => TaskState::Scheduled,
        }
    }
}

impl Tasks {
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn contains(&self, id: MessageId) -> bool {
        self.places.contains_key(&id)
    }

    pub(super) fn find(&self, id: MessageId) -> Option<&Row> {
        self.rows.get(self.places.get(&id)?)
    }

    /// What the task waits for, besides its time and a worker.
    pub(super) fn place_of(&self, row: &Row) -> TaskPlace {
        let mut of_topic = self.topics.get(&row.topic).into_iter().flatten();
        let oldest = row.ordering.as_ref().and_then(|ordering| {
            of_topic.find_map(|place| {
                let other = self.rows.get(place)?;
                (other.ordering.as_ref() == Some(ordering)).then_some(other.id)
            })
        });
        TaskPlace {
            behind: oldest.filter(|oldest| *oldest != row.id),
            window: row.window.as_ref().map(Window::shown),
        }
    }

    /// The orderings of the unfinished tasks of `topic`.
    pub(super) fn orderings(&self, topic: &TopicName) -> impl Iterator<Item = &str> {
        let places = self.topics.get(topic).into_iter().flatten();
        places.filter_map(|place| self.rows.get(place)?.ordering.as_deref())
    }

    /// Adds a task at the end of its topic. Its id must not be there.
    pub(super) fn add(&mut self, row: Row) {
        let place = self.number();
        self.places.insert(row.id, place);
        self.topics.entry(row.topic.clone()).or_default().insert(place);
        // It lives again, so how it ended before is no longer how it is.
        self.forget(row.id);
        self.windows.note(place, &row);
        self.rows.insert(place, row);
    }

    /// Takes a waiting task out, as if it had never been there.
    pub(super) fn remove_waiting(&mut self, id: MessageId) -> Option<Row> {
        let place = *self.places.get(&id)?;
        if !matches!(self.rows.get(&place)?.state, RowState::Waiting { .. }) {
            return None;
        }
        self.remove(place)
    }

    pub(super) fn remove(&mut self, place: u64) -> Option<Row> {
        let row = self.rows.remove(&place)?;
        self.places.remove(&row.id);
        if let Some(places) = self.topics.get_mut(&row.topic) {
            places.remove(&place);
        }
        self.windows.forget(place, &row);
        Some(row)
    }

    pub(super) fn new_consumer(&mut self, process: u64) -> u64 {
        let consumer = self.number();
        self.consumers.add(consumer, process);
        consumer
    }

    /// The process stands still: what its consumers hold is theirs only until the leases end.
    pub(super) fn suspend(&mut self, process: u64, now: Timestamp) {
        self.renew(now);
        self.consumers.suspend(process);
    }

    /// The process goes on. What it lost meanwhile it does not get back.
    pub(super) fn resume(&mut self, process: u64, now: Timestamp) {
        self.free_expired(now);
        self.consumers.resume(process);
    }

    /// The consumer is gone: what it holds is its own only until the leases end.
    pub(super) fn remove_consumer(&mut self, consumer: u64, now: Timestamp) {
        self.renew(now);
        self.consumers.remove(consumer);
    }

    /// Takes the first task of `topic` that may run.
    pub(super) fn take(&mut self, topic: &TopicName, now: Timestamp, consumer: u64, lease: Duration) -> Option<Taken> {
        self.free_expired(now);
        let place = self.first_runnable(topic, now)?;
        let token = self.number();
        let row = self.rows.get_mut(&place)?;
        let due = match &row.state {
            RowState::Waiting { due } => *due,
            RowState::Running(_) => return None,
        };
        row.state = RowState::Running(Run {
            token,
            consumer,
            lease,
            until: after(now, lease),
            held: true,
            due,
        });
        self.running.insert(place);
        if let Some(window) = &mut row.window {
            window.opened_at = None;
        }
        Some(Taken {
            lease: Lease { place, token },
            topic: row.topic.clone(),
            body: Arc::clone(&row.body),
            attempt: row.attempts.saturating_add(1),
            redelivered: row.redelivered,
        })
    }

    fn first_runnable(&self, topic: &TopicName, now: Timestamp) -> Option<u64> {
        let mut seen: HashSet<&str> = HashSet::new();
        for place in self.topics.get(topic)? {
            let row = self.rows.get(place)?;
            // Of one order key only the oldest unfinished task, whatever it waits for.
            let is_head = row.ordering.as_deref().is_none_or(|ordering| seen.insert(ordering));
            if is_head && row.is_due(now) {
                return Some(*place);
            }
        }
        None
    }

    /// When a task of `topic` may become runnable by time alone.
    pub(super) fn next_due(&self, topic: &TopicName, now: Timestamp) -> Option<Timestamp> {
        let due = |place: &u64| match &self.rows.get(place)?.state {
            // Whoever lets it go on tells.
            RowState::Waiting { due } => due.filter(|due| *due > now),
            RowState::Running(run) if self.is_alive(run) => None,
            RowState::Running(run) => Some(run.until),
        };
        self.topics.get(topic)?.iter().filter_map(due).min()
    }

    /// Whether nothing runs, and nothing of `topics` may.
    pub(super) fn is_at_rest(&self, topics: &BTreeSet<TopicName>, now: Timestamp) -> bool {
        self.running.is_empty() && topics.iter().all(|topic| self.first_runnable(topic, now).is_none())
    }

    fn is_alive(&self, run: &Run) -> bool {
        run.held && self.consumers.show_life(run.consumer)
    }

    /// A live consumer renews its leases all the time; here that is done whenever someone looks.
    pub(super) fn renew(&mut self, now: Timestamp) {
        let Self {
            rows,
            running,
            consumers,
            ..
        } = self;
        for place in &*running {
            if let Some(Row {
                state: RowState::Running(run),
                ..
            }) = rows.get_mut(place)
                && run.held
                && consumers.show_life(run.consumer)
            {
                run.until = run.until.max(after(now, run.lease));
            }
        }
    }

    /// Makes tasks available again whose lease ended. Answers how many.
    pub(super) fn free_expired(&mut self, now: Timestamp) -> u64 {
        self.renew(now);
        let expired: Vec<u64> = self
            .running
            .iter()
            .copied()
            .filter(|place| {
                let state = self.rows.get(place).map(|row| &row.state);
                matches!(state, Some(RowState::Running(run)) if run.until <= now)
            })
            .collect();
        for place in &expired {
            self.running.remove(place);
            if let Some(row) = self.rows.get_mut(place) {
                row.state = RowState::Waiting { due: None };
                row.redelivered = true;
            }
        }
        expired.len() as u64
    }
}
