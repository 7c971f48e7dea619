//! Arranges messages that belong together as trees of causes and consequences.

use std::collections::{BTreeMap, BTreeSet};

use crate::events::DOMAIN_EVENTS_TOPIC;
use crate::ids::MessageId;
use crate::lineage::{Relative, TracedEvent, TracedTask, each_once};

/// How big a tree may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeLimits {
    /// How far a consequence may be from its root. Defaults to 32.
    pub depth: usize,
    /// How many messages there may be. Defaults to 1000.
    pub messages: usize,
}

impl Default for TreeLimits {
    fn default() -> Self {
        Self {
            depth: 32,
            messages: 1_000,
        }
    }
}

/// Messages in the order of their causes.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Those that nothing known caused, oldest first.
    pub roots: Vec<Branch>,
    /// How many messages were left out because the tree is too deep or has too many, or their causes go round in a circle.
    pub left_out: usize,
}

/// A message with what it directly led to.
#[derive(Debug, Clone)]
pub struct Branch {
    /// The event or task.
    pub message: Relative,
    /// Of an event: the task that carries it to the dispatcher, as far as it is known.
    pub dispatch: Option<Box<TracedTask>>,
    /// What it led to, oldest first.
    pub consequences: Vec<Self>,
}

impl Tree {
    /// Arranges `messages`. A message that several places know, because it moved while they were asked, is shown once, where
    /// it got to last.
    pub fn grow(messages: Vec<Relative>, limits: TreeLimits) -> Self {
        let mut known = Known::default();
        for message in each_once(messages) {
            known.add(message);
        }
        known.adopt();
        let ids: BTreeSet<MessageId> = known.ids().collect();
        let mut children: BTreeMap<MessageId, Vec<MessageId>> = BTreeMap::new();
        let mut roots = Vec::new();
        for id in known.oldest_first() {
            match known.causation(id).filter(|cause| *cause != id && ids.contains(cause)) {
                Some(cause) => children.entry(cause).or_default().push(id),
                None => roots.push(id),
            }
        }
        let mut growing = Growing {
            known,
            children,
            room: limits.messages,
        };
        let roots = roots
            .into_iter()
            .filter_map(|id| growing.branch(id, limits.depth))
            .collect();
        Self {
            roots,
            left_out: growing.known.events.len() + growing.known.tasks.len(),
        }
    }
}

/// The messages that have no place in the tree yet.
#[derive(Default)]
struct Known {
    events: BTreeMap<MessageId, Box<TracedEvent>>,
    tasks: BTreeMap<MessageId, Box<TracedTask>>,
    dispatches: BTreeMap<MessageId, Box<TracedTask>>,
}

impl Known {
    fn add(&mut self, message: Relative) {
        match message {
            Relative::Event(event) => {
                self.events.insert(event.event.id, event);
            }
            Relative::Task(task) => {
                let places = if task.task.summary.topic == DOMAIN_EVENTS_TOPIC {
                    &mut self.dispatches
                } else {
                    &mut self.tasks
                };
                places.insert(task.task.summary.id, task);
            }
        }
    }

    /// What carries an event of which nothing else is known stands for it: one of the direct rail that was not recorded yet.
    fn adopt(&mut self) {
        let dispatches = std::mem::take(&mut self.dispatches).into_iter();
        let (of_events, alone) = dispatches.partition(|(id, _)| self.events.contains_key(id));
        self.dispatches = of_events;
        let alone: BTreeMap<MessageId, Box<TracedTask>> = alone;
        self.tasks.extend(alone);
    }

    fn ids(&self) -> impl Iterator<Item = MessageId> {
        self.events.keys().chain(self.tasks.keys()).copied()
    }

    fn causation(&self, id: MessageId) -> Option<MessageId> {
        let of_event = self.events.get(&id).and_then(|event| event.event.cause.causation);
        of_event.or_else(|| self.tasks.get(&id).and_then(|task| task.task.causation_id))
    }

    fn oldest_first(&self) -> Vec<MessageId> {
        let events = self
            .events
            .iter()
            .map(|(id, event)| (event.event.occurred_at, event.event.sequence, *id));
        let tasks = self
            .tasks
            .iter()
            .map(|(id, task)| (task.task.summary.enqueued_at, None, *id));
        let mut all: Vec<_> = events.chain(tasks).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, _, id)| id).collect()
    }

    fn take(&mut self, id: MessageId) -> Option<Relative> {
        let event = self.events.remove(&id).map(Relative::Event);
        event.or_else(|| self.tasks.remove(&id).map(Relative::Task))
    }
}

struct Growing {
    known: Known,
    children: BTreeMap<MessageId, Vec<MessageId>>,
    room: usize,
}

impl Growing {
    fn branch(&mut self, id: MessageId, depth: usize) -> Option<Branch> {
        if depth == 0 || self.room == 0 {
            return None;
        }
        let message = self.known.take(id)?;
        self.room -= 1;
        let dispatch = match &message {
            Relative::Event(_) => self.known.dispatches.remove(&id),
            Relative::Task(_) => None,
        };
        let children = self.children.remove(&id).unwrap_or_default();
        let consequences = children
            .into_iter()
            .filter_map(|child| self.branch(child, depth - 1))
            .collect();
        Some(Branch {
            message,
            dispatch,
            consequences,
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::contract::{
        AggregateRef, AggregateType, Cause, EventEnvelope, EventName, Json, Limits, Tenant, TopicName,
    };
    use crate::tasks::{TaskDetails, TaskPlace, TaskState, TaskSummary};

    fn id(number: u128) -> MessageId {
        Uuid::from_u128(number).into()
    }

    fn event(number: u128, cause: Option<u128>) -> Relative {
        Relative::Event(Box::new(TracedEvent {
            event: EventEnvelope {
                id: id(number),
                name: EventName::constant("LetterWritten"),
                version: 1,
                source: "/test".into(),
                aggregate: AggregateRef::new(AggregateType::constant("letter"), "a"),
                occurred_at: DateTime::UNIX_EPOCH,
                tenant: Tenant::System,
                sequence: None,
                cause: Cause {
                    causation: cause.map(id),
                    ..Cause::root()
                },
                payload: Json::parse("{}", &Limits::default()).unwrap(),
            },
            published_at: None,
            set_aside: None,
        }))
    }

    fn task_of(topic: TopicName, number: u128, cause: Option<u128>, state: TaskState) -> Relative {
        Relative::Task(Box::new(TracedTask {
            task: TaskDetails {
                summary: TaskSummary {
                    id: id(number),
                    topic,
                    task: "send".into(),
                    organization_id: None,
                    project_id: None,
                    state,
                    attempts: 1,
                    enqueued_at: DateTime::UNIX_EPOCH,
                    due_at: None,
                    finished_at: (state == TaskState::Completed).then_some(DateTime::UNIX_EPOCH),
                    reason: None,
                },
                code: None,
                correlation_id: None,
                causation_id: cause.map(id),
                payload: None,
                place: TaskPlace::default(),
            },
            is_in_outbox: false,
            set_aside: None,
            ends: u32::from(state == TaskState::Completed),
        }))
    }

    fn task(number: u128, cause: Option<u128>, state: TaskState) -> Relative {
        task_of(TopicName::constant("letters"), number, cause, state)
    }

    /// `1(2(3)4)` for 1 with the consequences 2, which has 3, and 4.
    fn shape(branches: &[Branch]) -> String {
        branches
            .iter()
            .map(|branch| {
                let inner = shape(&branch.consequences);
                let number = branch.message.id().uuid().as_u128();
                if inner.is_empty() {
                    format!("{number} ")
                } else {
                    format!("{number}({inner}) ")
                }
            })
            .collect::<String>()
            .trim_end()
            .to_owned()
    }

    fn grown(messages: Vec<Relative>) -> Tree {
        Tree::grow(messages, TreeLimits::default())
    }

    #[test]
    fn consequences_hang_on_their_causes_and_what_nothing_known_caused_is_a_root() {
        let tree = grown(vec![
            task(4, Some(2), TaskState::Running),
            event(2, Some(1)),
            event(1, None),
            event(3, Some(1)),
            event(6, Some(99)),
        ]);
        assert_eq!((shape(&tree.roots).as_str(), tree.left_out), ("1(2(4) 3) 6", 0));
    }

    #[test]
    fn the_task_that_carries_an_event_is_part_of_it_or_stands_for_it() {
        let carrying = |number| task_of(DOMAIN_EVENTS_TOPIC, number, None, TaskState::Running);
        let tree = grown(vec![event(1, None), carrying(1), carrying(2)]);
        assert_eq!(shape(&tree.roots), "1 2");
        assert!(tree.roots.first().unwrap().dispatch.is_some());
        assert!(matches!(tree.roots.get(1).unwrap().message, Relative::Task(_)));
    }

    #[test]
    fn what_moved_while_it_was_looked_for_is_shown_once_where_it_is() {
        let replayed = vec![task(1, None, TaskState::Completed), task(1, None, TaskState::Running)];
        for messages in [replayed.clone(), replayed.into_iter().rev().collect()] {
            let tree = grown(messages);
            let Relative::Task(shown) = &tree.roots.first().unwrap().message else {
                panic!("it is a task")
            };
            assert_eq!((tree.roots.len(), shown.task.summary.state), (1, TaskState::Running));
        }
    }

    #[test]
    fn what_is_too_deep_too_much_or_goes_round_is_counted_as_left_out() {
        let line: Vec<Relative> = (1..=5)
            .map(|number| event(number, (number > 1).then(|| number - 1)))
            .collect();
        let limits = TreeLimits { depth: 3, messages: 10 };
        let tree = Tree::grow(line.clone(), limits);
        assert_eq!((shape(&tree.roots).as_str(), tree.left_out), ("1(2(3))", 2));
        let tree = Tree::grow(line, TreeLimits { depth: 10, messages: 4 });
        assert_eq!((shape(&tree.roots).as_str(), tree.left_out), ("1(2(3(4)))", 1));
        let tree = grown(vec![event(1, Some(2)), event(2, Some(1)), event(3, Some(3))]);
        assert_eq!((shape(&tree.roots).as_str(), tree.left_out), ("3", 2));
    }
}
