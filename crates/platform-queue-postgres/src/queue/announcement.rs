//! Telling of tasks that were added: the consumers of this process, and other processes what is for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::time::{Clock, Timestamp};
use aftercommit_platform_db_postgres::{Bell, Told};

use crate::queue::new_tasks::NewTask;
use crate::topics::Topics;

/// Tells of added tasks.
#[derive(Clone)]
pub(crate) struct Announcer {
    pub(crate) topics: Arc<Topics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bell: Arc<Bell>,
}

/// What is to be told of a batch.
pub(crate) struct Announcement<'a> {
    announcer: &'a Announcer,
    now: Timestamp,
    /// How long until the first task of each topic is due, and how many are due by now.
    waits: HashMap<TopicName, (Duration, usize)>,
}

impl Announcer {
    pub(crate) fn begin(&self) -> Announcement<'_> {
        Announcement {
            announcer: self,
            now: self.clock.now(),
            waits: HashMap::new(),
        }
    }
}

impl Announcement<'_> {
    pub(crate) fn add(&mut self, task: &NewTask) {
        let wait = task.not_before().map_or(Duration::ZERO, |not_before| {
            (not_before - self.now).to_std().unwrap_or_default()
        });
        let (least, due) = self.waits.entry(task.topic().clone()).or_insert((wait, 0));
        *least = wait.min(*least);
        *due += usize::from(wait.is_zero());
    }

    /// Wakes the consumers of its topics.
    pub(crate) fn make(self) {
        let Announcer { topics, bell, .. } = self.announcer;
        for (name, (wait, due)) in self.waits {
            let topic = topics.known(name.as_str());
            let takers = topic.as_ref().map_or(0, |topic| topic.waiting());
            if let Some(topic) = topic {
                if wait.is_zero() {
                    topic.wake.bump();
                } else {
                    topics.note_due(&topic, wait);
                }
            }
            // What is not taken here is for others, if they have room.
            if due > takers {
                bell.ring(Told::Topic(name.as_str().to_owned()));
            } else if due == 0 && takers == 0 {
                bell.ring(Told::DueTimes);
            }
        }
    }
}
