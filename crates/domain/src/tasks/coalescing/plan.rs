//! What is to be written for many publishes at once: decided one after the other, written together.

use std::collections::{HashMap, HashSet};

use crate::contract::TopicName;
use crate::ids::MessageId;
use crate::tasks::{Coalesced, CoalescingDecision, CoalescingPolicy, CoalescingState, OpenWindow, Published, decide};
use crate::time::{self, Timestamp};

/// A topic and the scope of a key: [`TaskEnvelope::window_scope`](crate::contract::TaskEnvelope::window_scope).
pub type WindowKey<'k> = (&'k TopicName, &'k str);

/// A publish that is to be coalesced.
#[derive(Debug, Clone)]
pub struct CoalescingCandidate<'c> {
    /// The task.
    pub id: MessageId,
    /// Its key.
    pub key: WindowKey<'c>,
    /// What its publish asks for.
    pub policy: CoalescingPolicy,
    /// When it could run at the earliest.
    pub not_before: Option<Timestamp>,
    /// Whether it has an order among tasks: an order key, or the order of its window.
    pub is_ordered: bool,
}

/// An unfinished task of a key, as it is stored.
#[derive(Debug, Clone)]
pub struct KnownTask {
    /// Its number in the store.
    pub row: i64,
    /// The task.
    pub id: MessageId,
    /// When it is due.
    pub due_at: Timestamp,
    /// When its window was opened; `None` when it has none, or none any more.
    pub opened_at: Option<Timestamp>,
    /// Whether a worker has it.
    pub is_running: bool,
    /// Whether it has an order among tasks.
    pub is_ordered: bool,
}

/// What is stored about a key.
#[derive(Debug, Clone, Default)]
pub struct KnownKey {
    /// Its unfinished tasks.
    pub tasks: Vec<KnownTask>,
    /// The publish that [`CoalescingPolicy::Once`] still remembers.
    pub once: Option<MessageId>,
}

/// What is to be written, all of it in the transaction that read what is known.
#[derive(Debug, Clone, Default)]
pub struct CoalescingPlan {
    /// What became of each publish.
    pub answers: Vec<Published>,
    /// Stored tasks whose windows are closed.
    pub closed: Vec<i64>,
    /// Stored tasks that are gone: what replaced them is among the new ones, because it has its own place in its order. To be
    /// written before anything else.
    pub removed: Vec<i64>,
    /// Stored tasks whose place is taken: by which of the candidates, and when it is due.
    pub replaced: Vec<(i64, usize, Timestamp)>,
    /// Candidates that become tasks, in this order.
    pub new: Vec<NewWindow>,
    /// Candidates that [`CoalescingPolicy::Once`] remembers, and until when.
    pub once: Vec<(usize, Timestamp)>,
    /// Each publish, and the task that is run for it: what comes again changes nothing.
    pub coalesced: Vec<(MessageId, MessageId)>,
    /// Publishes of before whose task is another now: the one that took their place.
    pub superseded: Vec<(MessageId, MessageId)>,
}

/// A candidate that becomes a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWindow {
    /// Which of the candidates.
    pub candidate: usize,
    /// When it is due.
    pub due_at: Timestamp,
    /// When its window was opened; `None` when it has none.
    pub opened_at: Option<Timestamp>,
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Stored(i64),
    /// Its place among the new ones.
    New(usize),
}

struct Task {
    place: Place,
    id: MessageId,
    due_at: Timestamp,
    opened_at: Option<Timestamp>,
    is_running: bool,
    is_ordered: bool,
}

#[derive(Default)]
struct Key {
    tasks: Vec<Task>,
    once: Option<MessageId>,
}

impl CoalescingPlan {
    /// Decides about `candidates` in their order. `known` is what is stored about their keys, `applied` are those of them that
    /// were published before: coalesced, or as a task of their own that is unfinished.
    pub fn of<'c>(
        candidates: &[CoalescingCandidate<'c>],
        mut applied: HashSet<MessageId>,
        known: HashMap<WindowKey<'c>, KnownKey>,
        now: Timestamp,
    ) -> Self {
        let mut keys: HashMap<WindowKey<'c>, Key> = known.into_iter().map(|(key, known)| (key, known.into())).collect();
        let mut plan = Self::default();
        let mut replaced: HashMap<i64, (usize, Timestamp)> = HashMap::new();
        for (at, candidate) in candidates.iter().enumerate() {
            if !applied.insert(candidate.id) {
                plan.answers.push(Published::AlreadyThere(candidate.id));
                continue;
            }
            let key = keys.entry(candidate.key).or_default();
            let decision = decide(
                &candidate.policy,
                &key.seen_by(&candidate.policy),
                candidate.not_before,
                now,
            );
            let answer = match decision {
                CoalescingDecision::Drop { into } => {
                    plan.coalesced.push((candidate.id, into));
                    let why = Coalesced::Dropped;
                    Published::Coalesced { into, why }
                }
                CoalescingDecision::Open { due_at, remembered } => {
                    plan.close(key);
                    if let Some(ttl) = remembered {
                        key.once = Some(candidate.id);
                        plan.once.push((at, time::after(now, ttl)));
                    }
                    plan.open(at, candidate, key, due_at, now);
                    Published::Enqueued(candidate.id)
                }
                CoalescingDecision::Replace { replaced: gone, due_at } => {
                    if let Some(task) = key.tasks.iter_mut().find(|task| task.id == gone) {
                        let has_place_of_its_own = task.is_ordered || candidate.is_ordered;
                        (task.id, task.due_at, task.is_ordered) = (candidate.id, due_at, candidate.is_ordered);
                        match task.place {
                            Place::Stored(row) if has_place_of_its_own => {
                                // Behind what was published of its order key after the one that it replaces.
                                replaced.remove(&row);
                                plan.removed.push(row);
                                task.place = Place::New(plan.new.len());
                                plan.new.push(NewWindow {
                                    candidate: at,
                                    due_at,
                                    opened_at: task.opened_at,
                                });
                            }
                            Place::Stored(row) => drop(replaced.insert(row, (at, due_at))),
                            Place::New(place) => {
                                if let Some(new) = plan.new.get_mut(place) {
                                    (new.candidate, new.due_at) = (at, due_at);
                                }
                            }
                        }
                    }
                    plan.supersede(gone, candidate.id);
                    plan.coalesced.push((candidate.id, candidate.id));
                    let why = Coalesced::Replaced(gone);
                    let into = candidate.id;
                    Published::Coalesced { into, why }
                }
            };
            plan.answers.push(answer);
        }
        plan.replaced = replaced
            .into_iter()
            .map(|(row, (at, due_at))| (row, at, due_at))
            .collect();
        // In one order, so that two who write do not wait for each other.
        plan.replaced.sort_unstable_by_key(|(row, _, _)| *row);
        plan.closed.sort_unstable();
        plan.removed.sort_unstable();
        // What was replaced within the call is where the one is that replaced it.
        plan.new.sort_unstable_by_key(|new| new.candidate);
        plan
    }

    /// Another publish took the place of `gone`.
    fn supersede(&mut self, gone: MessageId, by: MessageId) {
        match self.coalesced.iter_mut().find(|(id, _)| *id == gone) {
            Some((_, task)) => *task = by,
            None => self.superseded.push((gone, by)),
        }
    }

    /// What is open of the key is not any more.
    fn close(&mut self, key: &mut Key) {
        for task in key.tasks.iter_mut().filter(|task| task.opened_at.is_some()) {
            task.opened_at = None;
            match task.place {
                Place::Stored(row) => self.closed.push(row),
                Place::New(place) => {
                    if let Some(new) = self.new.get_mut(place) {
                        new.opened_at = None;
                    }
                }
            }
        }
    }

    fn open(
        &mut self,
        at: usize,
        candidate: &CoalescingCandidate<'_>,
        key: &mut Key,
        due_at: Timestamp,
        now: Timestamp,
    ) {
        let opened_at = candidate.policy.has_window().then_some(now);
        key.tasks.push(Task {
            place: Place::New(self.new.len()),
            id: candidate.id,
            due_at,
            opened_at,
            is_running: false,
            is_ordered: candidate.is_ordered,
        });
        self.new.push(NewWindow {
            candidate: at,
            due_at,
            opened_at,
        });
        self.coalesced.push((candidate.id, candidate.id));
    }
}

impl Key {
    /// The state as this policy sees it: a window where it has one, and otherwise what waits.
    fn seen_by(&self, policy: &CoalescingPolicy) -> CoalescingState {
        let goes_by_what_waits = !policy.has_window();
        let mut state = CoalescingState {
            once: self.once,
            ..CoalescingState::default()
        };
        for task in &self.tasks {
            if task.opened_at.is_some() || goes_by_what_waits && !task.is_running {
                state.open = Some(OpenWindow {
                    id: task.id,
                    due_at: task.due_at,
                    opened_at: task.opened_at.unwrap_or(task.due_at),
                });
            } else {
                state.active = Some(task.id);
            }
        }
        state
    }
}

impl From<KnownKey> for Key {
    fn from(known: KnownKey) -> Self {
        let tasks = known.tasks.into_iter().map(|task| Task {
            place: Place::Stored(task.row),
            id: task.id,
            due_at: task.due_at,
            opened_at: task.opened_at,
            is_running: task.is_running,
            is_ordered: task.is_ordered,
        });
        Self {
            tasks: tasks.collect(),
            once: known.once,
        }
    }
}
