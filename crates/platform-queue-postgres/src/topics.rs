//! The topics of this process: who waits for their tasks, and what wakes them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_platform_db_postgres::{Bell, Told, Wake};
use tokio::time::Instant;

use crate::suspects::Suspects;

/// A task that lost this many runs in a row is a suspect: one at a time is handed out, so that each further death makes one more
/// task at most that is to run alone. The indexes of the table know it too.
pub(crate) const SUSPECT_AFTER: i32 = 2;
/// One that lost this many is to run with nothing beside it, so that the next loss tells whether it was the cause.
pub(crate) const ALONE_AFTER: i32 = 3;

/// The topics of this process.
#[derive(Debug)]
pub(crate) struct Topics {
    topics: Mutex<HashMap<String, Arc<Topic>>>,
    bell: Arc<Bell>,
    /// Bumped when the watch has another time to wait for: someone began to wait, or a time was noted.
    pub(crate) changed: Wake,
    /// Bumped when tasks came past the publisher, nobody knows for which topics.
    pub(crate) look: Arc<Wake>,
    suspects: Suspects<Topic>,
}

/// A topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: TopicName,
    /// Bumped when a task may have become claimable.
    pub(crate) wake: Wake,
    /// How many consumers wait for a task.
    waiting: AtomicUsize,
    /// When its next task is due, as far as it is known here.
    due: Mutex<Option<Instant>>,
}

impl Topics {
    /// No topics yet; `bell` is how other processes are told.
    pub(crate) fn new(bell: Arc<Bell>) -> Self {
        Self {
            topics: Mutex::default(),
            bell,
            changed: Wake::default(),
            look: Arc::default(),
            suspects: Suspects::default(),
        }
    }

    /// Tells of tasks that may be claimed: `due` of them by now, or the first after `wait`. Consumers that wait here take
    /// them; what they do not take is for other processes, if those have room.
    pub(crate) fn tell(&self, name: &str, due: usize, wait: Duration) {
        let topic = self.known(name);
        let takers = topic.as_ref().map_or(0, |topic| topic.waiting());
        if let Some(topic) = topic {
            if wait.is_zero() {
                topic.wake.bump();
            } else {
                self.note_due(&topic, wait);
            }
        }
        if due > takers {
            self.bell.ring(Told::Topic(name.to_owned()));
        } else if due == 0 && takers == 0 {
            self.bell.ring(Told::DueTimes);
        }
    }

    /// The topic of this name.
    pub(crate) fn topic(&self, name: &TopicName) -> Arc<Topic> {
        let mut topics = lock(&self.topics);
        let topic = topics.entry(name.as_str().to_owned()).or_insert_with(|| {
            Arc::new(Topic {
                name: name.clone(),
                wake: Wake::default(),
                waiting: AtomicUsize::new(0),
                due: Mutex::default(),
            })
        });
        Arc::clone(topic)
    }

    /// The topic of this name, if this process has ever taken from it.
    pub(crate) fn known(&self, name: &str) -> Option<Arc<Topic>> {
        lock(&self.topics).get(name).cloned()
    }

    /// Wakes every consumer.
    pub(crate) fn wake_all(&self) {
        lock(&self.topics).values().for_each(|topic| topic.wake.bump());
    }

    /// The topics whose tasks someone waits for.
    pub(crate) fn waited_for(&self) -> Vec<Arc<Topic>> {
        lock(&self.topics)
            .values()
            .filter(|topic| topic.waiting() > 0)
            .cloned()
            .collect()
    }

    /// Notes that a task of the topic is due after this long.
    pub(crate) fn note_due(&self, topic: &Topic, wait: Duration) {
        let Some(at) = Instant::now().checked_add(wait) else {
            return;
        };
        let mut due = lock(&topic.due);
        if due.is_none_or(|due| at < due) {
            *due = Some(at);
            drop(due);
            self.changed.bump();
        }
    }

    /// Runs were lost: there may be suspects on any topic.
    pub(crate) fn expect_suspects(&self) {
        self.suspects.expect();
    }

    /// The turn to run a suspect of `topic`, if no other has it. Otherwise the topic is woken when it may be its turn.
    pub(crate) fn suspect_turn(self: &Arc<Self>, topic: &Arc<Topic>) -> Option<SuspectTurn> {
        self.suspects.take_turn(topic).then(|| SuspectTurn {
            topics: Arc::clone(self),
            was_used: false,
        })
    }
}

impl Topic {
    /// A consumer waits from here until the guard is dropped.
    pub(crate) fn begin_waiting<'t>(&'t self, topics: &Topics) -> WaitingConsumer<'t> {
        if self.waiting.fetch_add(1, Ordering::SeqCst) == 0 {
            topics.changed.bump();
        }
        WaitingConsumer(self)
    }

    /// How many consumers wait for a task.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// When its next task is due, as far as it is known.
    pub(crate) fn due(&self) -> Option<Instant> {
        *lock(&self.due)
    }

    /// What the database said of it, or that the time has come.
    pub(crate) fn set_due(&self, due: Option<Instant>) {
        *lock(&self.due) = due;
    }
}

/// A consumer that waits for a task.
pub(crate) struct WaitingConsumer<'t>(&'t Topic);

impl Drop for WaitingConsumer<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Whoever has it may run a suspect. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct SuspectTurn {
    topics: Arc<Topics>,
    was_used: bool,
}

impl SuspectTurn {
    /// A suspect was taken, so others may wait for the end of this turn.
    pub(crate) fn used(mut self) -> Self {
        self.was_used = true;
        self
    }
}

impl Drop for SuspectTurn {
    fn drop(&mut self) {
        for topic in self.topics.suspects.end_turn(self.was_used) {
            topic.wake.bump();
        }
        if self.was_used {
            self.topics.wake_all();
        }
    }
}

/// A panic elsewhere leaves what is noted as it is: each change is one assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
