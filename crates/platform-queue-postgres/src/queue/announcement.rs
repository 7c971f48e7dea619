//! Telling of tasks that were added: the consumers of this process, and other processes what is for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::time::{Clock, Timestamp};

use crate::queue::new_tasks::NewTask;
use crate::topics::Topics;

/// Tells of added tasks.
#[derive(Clone)]
pub(crate) struct Announcer {
    pub(crate) topics: Arc<Topics>,
    pub(crate) clock: Arc<dyn Clock>,
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
        self.add_after(task, Duration::ZERO);
    }

    /// For a task that may not run before this long from now.
    pub(crate) fn add_after(&mut self, task: &NewTask, wait: Duration) {
        let own = task.not_before().map_or(Duration::ZERO, |not_before| {
            (not_before - self.now).to_std().unwrap_or_default()
        });
        let wait = wait.max(own);
        let (least, due) = self.waits.entry(task.topic().clone()).or_insert((wait, 0));
        *least = wait.min(*least);
        *due += usize::from(wait.is_zero());
    }

    /// Wakes the consumers of its topics.
    pub(crate) fn make(self) {
        for (name, (wait, due)) in self.waits {
            self.announcer.topics.tell(name.as_str(), due, wait);
        }
    }
}
