//! Coalescing: which tasks of a key are unfinished, and which of them may still be joined.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aftercommit_domain::contract::{Limits, TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    Coalesced, CoalescingDecision, CoalescingPolicy, CoalescingState, OpenWindow, Published, decide,
};
use aftercommit_domain::time::{Timestamp, after};

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
    opened_at: Timestamp,
    /// Whether further publishes may join it.
    pub(super) is_open: bool,
}

impl Windows {
    /// Forgets what was coalesced before this. Answers how many publishes that were.
    pub(super) fn prune(&mut self, before: Timestamp) -> u64 {
        let known = self.applied.len();
        self.applied.retain(|_, (_, at)| *at >= before);
        self.once.retain(|_, (_, until)| *until >= before);
        (known - self.applied.len()) as u64
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
    /// Publishes a task that is to be coalesced, or is not any more.
    pub(super) fn coalesce(
        &mut self,
        message: TaskEnvelope,
        body: Arc<[u8]>,
        limits: &Limits,
        now: Timestamp,
    ) -> Option<Published> {
        let policy = message.coalescing.as_ref()?.policy;
        let (id, scope) = (message.id, message.window_scope()?);
        if self.windows.applied.contains_key(&id) {
            return Some(Published::AlreadyThere(id));
        }
        let key = (message.topic.clone(), scope.clone());
        let state = self.state_of(&key, &policy, now);
        let decision = decide(&policy, &state, message.not_before, now);
        let (published, opened_at) = match decision {
            CoalescingDecision::Drop { into } => {
                self.windows.applied.insert(id, (into, now));
                let why = Coalesced::Dropped;
                return Some(Published::Coalesced { into, why });
            }
            CoalescingDecision::Open { remembered, .. } => {
                if let Some(ttl) = remembered {
                    self.windows.once.insert(key.clone(), (id, after(now, ttl)));
                }
                self.close(&key);
                (Published::Enqueued(id), now)
            }
            CoalescingDecision::Replace { replaced, .. } => {
                self.remove_waiting(replaced);
                if let Some((task, _)) = self.windows.applied.get_mut(&replaced) {
                    *task = id;
                }
                let opened_at = state.open.map_or(now, |open| open.opened_at);
                let why = Coalesced::Replaced(replaced);
                (Published::Coalesced { into: id, why }, opened_at)
            }
        };
        let (CoalescingDecision::Open { due_at, .. } | CoalescingDecision::Replace { due_at, .. }) = decision else {
            return None;
        };
        self.windows.applied.insert(id, (id, now));
        let mut row = Row::new(id, message.topic, body, limits, now);
        row.state = RowState::Waiting { due: Some(due_at) };
        row.window = Some(Window {
            scope,
            opened_at,
            is_open: policy.has_window(),
        });
        self.add(row);
        Some(published)
    }

    fn state_of(&self, key: &Key, policy: &CoalescingPolicy, now: Timestamp) -> CoalescingState {
        let mut state = CoalescingState::default();
        let goes_by_what_waits = !policy.has_window();
        let places = self.windows.places.get(key).into_iter().flatten();
        for row in places.filter_map(|place| self.rows.get(place)) {
            match (&row.state, &row.window) {
                (RowState::Waiting { due }, Some(window)) if window.is_open || goes_by_what_waits => {
                    state.open = Some(OpenWindow {
                        id: row.id,
                        due_at: due.unwrap_or(now),
                        opened_at: window.opened_at,
                    });
                }
                _ => state.active = Some(row.id),
            }
        }
        state.once = self
            .windows
            .once
            .get(key)
            .filter(|(_, until)| *until > now)
            .map(|(id, _)| *id);
        state
    }

    /// Nothing joins what is open of this key any more.
    fn close(&mut self, key: &Key) {
        for place in self.windows.places.get(key).into_iter().flatten() {
            if let Some(window) = self.rows.get_mut(place).and_then(|row| row.window.as_mut()) {
                window.is_open = false;
            }
        }
    }
}
