//! Coalescing: which tasks of a key are unfinished, and which of them may still be joined.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aftercommit_domain::contract::{Limits, TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{CoalescingCandidate, CoalescingPlan, KnownKey, KnownTask, Published, TaskWindow};
use aftercommit_domain::time::Timestamp;

use super::tasks::{Row, RowState, Tasks};

/// A topic and the scope of a key.
type Key = (TopicName, String);

/// What is known of keys besides their tasks.
#[derive(Default)]
pub(super) struct Windows {
    /// The unfinished tasks of each key.
    places: HashMap<Key, BTreeSet<u64>>,
    once: HashMap<Key, (MessageId, Timestamp)>,
    /// Which publishes were coalesced, into which task, and when: what comes again changes nothing.
    applied: HashMap<MessageId, (MessageId, Timestamp)>,
}

/// The window of a task.
pub(super) struct Window {
    scope: String,
    /// When it was opened; `None` when nothing takes the place of its task any more.
    pub(super) opened_at: Option<Timestamp>,
}

impl Window {
    /// As it is shown to people.
    pub(super) fn shown(&self) -> TaskWindow {
        TaskWindow::of_scope(&self.scope, self.opened_at.is_some())
    }
}

impl Windows {
    /// Forgets what was coalesced before this. Answers how many publishes that were.
    pub(super) fn prune(&mut self, before: Timestamp) -> u64 {
        let known = self.applied.len();
        self.applied.retain(|_, (_, at)| *at >= before);
        self.once.retain(|_, (_, until)| *until >= before);
        (known - self.applied.len()) as u64
    }

    /// The unfinished tasks of a key, oldest first.
    pub(super) fn places(&self, key: &Key) -> impl Iterator<Item = u64> {
        self.places.get(key).into_iter().flatten().copied()
    }

    /// The task that is run for a publish that was coalesced into another.
    pub(super) fn task_for(&self, publish: MessageId) -> Option<MessageId> {
        self.applied
            .get(&publish)
            .map(|(task, _)| *task)
            .filter(|task| *task != publish)
    }

    pub(super) fn note(&mut self, place: u64, row: &Row) {
        if let Some(window) = &row.window {
            let key = (row.topic.clone(), window.scope.clone());
            self.places.entry(key).or_default().insert(place);
        }
    }

    pub(super) fn forget(&mut self, place: u64, row: &Row) {
        let Some(window) = &row.window else { return };
        let key = (row.topic.clone(), window.scope.clone());
        if let Some(places) = self.places.get_mut(&key) {
            places.remove(&place);
            if places.is_empty() {
                self.places.remove(&key);
            }
        }
    }
}

impl Tasks {
    /// Publishes a task that is to be coalesced.
    pub(super) fn coalesce(
        &mut self,
        message: TaskEnvelope,
        body: Arc<[u8]>,
        limits: &Limits,
        now: Timestamp,
    ) -> Option<Published> {
        let policy = message.coalescing.as_ref()?.policy;
        let (id, scope) = (message.id, message.window_scope()?);
        let (topic, is_ordered) = (message.topic.clone(), message.ordering().is_some());
        let key = (topic.clone(), scope.clone());
        let candidate = CoalescingCandidate {
            id,
            key: (&topic, &scope),
            policy,
            not_before: message.not_before,
            is_ordered,
        };
        let is_applied = self.windows.applied.contains_key(&id) || self.contains(id);
        let applied = is_applied.then_some(id).into_iter().collect();
        let known = HashMap::from([(candidate.key, self.known(&key, now))]);
        let plan = CoalescingPlan::of(&[candidate], applied, known, now);

        let mut opened = plan.new.first().map(|new| (new.due_at, new.opened_at));
        for place in &plan.closed {
            if let Some(window) = self.window_at(*place) {
                window.opened_at = None;
            }
        }
        let replaced = plan.replaced.iter().map(|(place, _, due_at)| (*place, Some(*due_at)));
        let removed = plan.removed.iter().map(|place| (*place, None));
        for (place, due_at) in replaced.chain(removed) {
            let opened_at = self.window_at(place).and_then(|window| window.opened_at);
            if let Some(due_at) = due_at {
                opened = Some((due_at, opened_at));
            }
            if let Some(gone) = self.row_at(place).map(|row| row.id) {
                self.remove_waiting(gone);
            }
        }
        for (_, until) in &plan.once {
            self.windows.once.insert(key.clone(), (id, *until));
        }
        for (gone, by) in &plan.superseded {
            if let Some((task, _)) = self.windows.applied.get_mut(gone) {
                *task = *by;
            }
        }
        let coalesced = plan.coalesced.iter().map(|(id, task)| (*id, (*task, now)));
        self.windows.applied.extend(coalesced);
        if let Some((due_at, opened_at)) = opened {
            let mut row = Row::new(id, message.topic, body, limits, now);
            row.state = RowState::Waiting { due: Some(due_at) };
            row.window = Some(Window { scope, opened_at });
            self.add(row);
        }
        plan.answers.first().copied()
    }

    fn known(&self, key: &Key, now: Timestamp) -> KnownKey {
        let places = self.windows.places.get(key).into_iter().flatten();
        let rows = places.filter_map(|place| Some((i64::try_from(*place).ok()?, self.rows.get(place)?)));
        let tasks = rows.map(|(place, row)| {
            let due = match &row.state {
                RowState::Waiting { due } => *due,
                RowState::Running(_) => None,
            };
            KnownTask {
                row: place,
                id: row.id,
                due_at: due.unwrap_or(now),
                opened_at: row.window.as_ref().and_then(|window| window.opened_at),
                is_running: matches!(row.state, RowState::Running(_)),
                is_ordered: row.ordering.is_some(),
            }
        });
        let once = self.windows.once.get(key);
        KnownKey {
            tasks: tasks.collect(),
            once: once.filter(|(_, until)| *until > now).map(|(id, _)| *id),
        }
    }

    fn row_at(&self, place: i64) -> Option<&Row> {
        self.rows.get(&u64::try_from(place).ok()?)
    }

    fn window_at(&mut self, place: i64) -> Option<&mut Window> {
        self.rows.get_mut(&u64::try_from(place).ok()?)?.window.as_mut()
    }
}
