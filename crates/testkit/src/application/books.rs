//! What was published and written, and how it ended.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use aftercommit_domain::contract::{EventEnvelope, TaskEnvelope};
use aftercommit_domain::events::{DISPATCH_TASK, DOMAIN_EVENTS_TOPIC, DomainEvent, OutboxMessage};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    DeadLetter, DeadLetterFilter, DeadLetters, Task, TaskFilter, TaskInspector, TaskSummary,
};
use futures::FutureExt;

use crate::application::TestApplication;

/// Every task that a topic took, in that order, once for each id.
#[derive(Default)]
pub(super) struct Books {
    published: Mutex<(Vec<TaskEnvelope>, HashSet<MessageId>)>,
}

impl Books {
    pub(super) fn note(&self, tasks: impl Iterator<Item = TaskEnvelope>) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let (in_order, ids) = &mut *published;
        in_order.extend(tasks.filter(|task| ids.insert(task.id)));
    }

    fn published(&self) -> Vec<TaskEnvelope> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

impl TestApplication {
    /// The tasks of contract `T` that were published, in that order: by routes, by handlers, by the test; also those that
    /// still wait in the outbox of a committed transaction.
    ///
    /// # Panics
    /// When one cannot be read as `T`.
    pub fn published<T: Task>(&self) -> Vec<T> {
        let limits = self.kit().envelopes().codec().limits();
        let waiting = self.kit().store().unpublished().into_iter();
        let waiting = waiting.filter_map(|row| match OutboxMessage::from_raw(&row.message, limits) {
            Ok(OutboxMessage::Task(task)) => Some(task),
            Ok(OutboxMessage::Event(_)) | Err(_) => None,
        });
        let published = self.kit().gated().books.published();
        let known: HashSet<MessageId> = published.iter().map(|task| task.id).collect();
        let all = published
            .into_iter()
            .chain(waiting.filter(|task| !known.contains(&task.id)));
        all.filter(|task| task.topic == T::TOPIC && task.task == T::NAME)
            .map(|task| self.read(&task))
            .collect()
    }

    /// The same; fails the test when there is none.
    ///
    /// # Panics
    /// When there is none.
    pub fn assert_published<T: Task>(&self) -> Vec<T> {
        let published = self.published::<T>();
        assert!(
            !published.is_empty(),
            "no {}/{} was published; {}",
            T::TOPIC,
            T::NAME,
            self.other_tasks()
        );
        published
    }

    /// Fails the test when a task of contract `T` was published.
    ///
    /// # Panics
    /// When one was.
    pub fn assert_not_published<T: Task>(&self) {
        let count = self.published::<T>().len();
        assert!(count == 0, "{}/{} was published {count} times", T::TOPIC, T::NAME);
    }

    /// The events of contract `E` that were committed or published, in that order.
    ///
    /// # Panics
    /// When one cannot be read as `E`.
    pub fn events_of<E: DomainEvent>(&self) -> Vec<E> {
        let codec = self.kit().envelopes().codec();
        let published = self.kit().gated().books.published().into_iter();
        let published = published.filter(|task| task.topic == DOMAIN_EVENTS_TOPIC && task.task == DISPATCH_TASK);
        let published =
            published.filter_map(|task| EventEnvelope::decode(task.payload.as_str().as_bytes(), codec.limits()).ok());
        let mut events: Vec<EventEnvelope> = published.collect();
        for row in self.kit().store().unpublished() {
            if let Ok(OutboxMessage::Event(event)) = OutboxMessage::from_raw(&row.message, codec.limits())
                && !events.iter().any(|known| known.id == event.id)
            {
                events.push(event);
            }
        }
        let of_contract = events.into_iter().filter(|event| event.name == E::NAME);
        let read = of_contract.map(|event| codec.decode(&event.payload, event.version, &event.tenant, event.id));
        read.map(|read| read.unwrap_or_else(|error| panic!("an event that was written cannot be read: {error}")))
            .collect()
    }

    /// How the tasks of contract `T` ended, in that order: state, reason, attempts. At most the last 1000.
    pub fn outcomes<T: Task>(&self) -> Vec<TaskSummary> {
        let filter = TaskFilter {
            topic: Some(T::TOPIC),
            limit: Some(1000),
            ..TaskFilter::default()
        };
        let mut tasks = self.tasks(&filter);
        tasks.retain(|task| task.task == T::NAME.as_str() && task.finished_at.is_some());
        tasks.sort_by_key(|task| task.finished_at);
        tasks
    }

    /// The dead letters, oldest first. At most the last 1000.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let filter = DeadLetterFilter {
            limit: Some(1000),
            ..DeadLetterFilter::default()
        };
        let letters = DeadLetters::list(self.kit().store(), &filter).now_or_never();
        let mut letters = letters.and_then(Result::ok).unwrap_or_default();
        letters.reverse();
        letters
    }

    /// The dead letters, oldest first. They are gone, and no longer left over.
    pub fn take_dead_letters(&self) -> Vec<DeadLetter> {
        let letters = self.dead_letters();
        let ids: Vec<MessageId> = letters.iter().map(|letter| letter.id).collect();
        // In memory it is done at once and cannot fail.
        let _ = self.kit().store().discard(&ids, "test").now_or_never();
        letters
    }

    pub(super) fn tasks(&self, filter: &TaskFilter) -> Vec<TaskSummary> {
        // In memory it is done at once and cannot fail.
        let tasks = TaskInspector::list(self.kit().store(), filter).now_or_never();
        let mut tasks = tasks.and_then(Result::ok).unwrap_or_default();
        tasks.reverse();
        tasks
    }

    fn read<T: Task>(&self, task: &TaskEnvelope) -> T {
        let codec = self.kit().envelopes().codec();
        let read = codec.decode(&task.payload, task.version, &task.tenant, task.id);
        read.unwrap_or_else(|error| panic!("a task that was published cannot be read: {error}"))
    }

    fn other_tasks(&self) -> String {
        let published = self.kit().gated().books.published().into_iter();
        let mut names: Vec<String> = published
            .filter(|task| task.topic != DOMAIN_EVENTS_TOPIC)
            .map(|task| format!("{}/{}", task.topic, task.task))
            .collect();
        names.sort();
        names.dedup();
        let waiting = self.kit().store().unpublished().len();
        let published = if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(", ")
        };
        match waiting {
            0 => format!("published was {published}"),
            waiting => format!("published was {published}, and {waiting} messages wait in the outbox until it is run"),
        }
    }
}
