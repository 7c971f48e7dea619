//! What coalescing means, written down once more and as simply as possible: the tasks of one key, and what happens to them.

use std::time::Duration;

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{CoalescingPolicy, WhenActive};
use aftercommit_domain::time::{Timestamp, after};

/// One key, and the policy it is published under.
pub(super) struct Model {
    policy: CoalescingPolicy,
    pub(super) tasks: Vec<Modelled>,
    published: Vec<MessageId>,
    once: Option<(MessageId, Timestamp)>,
}

/// An unfinished task.
#[derive(Debug, Clone)]
pub(super) struct Modelled {
    pub(super) id: MessageId,
    opened: Timestamp,
    due: Timestamp,
    state: State,
    pub(super) losses: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Never taken.
    Fresh,
    Running,
    /// Taken before, and to come again.
    Again,
}

/// What a publish is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    New,
    Into(MessageId),
    InsteadOf(MessageId),
    /// It came before.
    Known,
}

impl Model {
    pub(super) const fn new(policy: CoalescingPolicy) -> Self {
        Self {
            policy,
            tasks: Vec::new(),
            published: Vec::new(),
            once: None,
        }
    }

    /// `id` is published at `now`, to run at the earliest after `delay`.
    pub(super) fn publish(&mut self, id: MessageId, delay: Duration, now: Timestamp) -> Answer {
        if self.published.contains(&id) {
            return Answer::Known;
        }
        self.published.push(id);
        let waits = |task: &&mut Modelled| task.state != State::Running;
        let is_window = |task: &&mut Modelled| task.state == State::Fresh && task.due > now;
        match self.policy {
            CoalescingPolicy::Replace => match self.tasks.iter_mut().find(is_window) {
                Some(task) => task.become_one(id, after(now, delay)),
                None => self.add(id, after(now, delay), now),
            },
            CoalescingPolicy::Once { ttl } => {
                if let Some((first, until)) = self.once
                    && until > now
                {
                    return Answer::Into(first);
                }
                if let Some(task) = self.tasks.iter_mut().rfind(waits) {
                    return Answer::Into(task.id);
                }
                self.once = Some((id, after(now, ttl)));
                self.add(id, now, now)
            }
            CoalescingPolicy::WhilePending => match self.tasks.iter_mut().rfind(waits) {
                Some(task) => Answer::Into(task.id),
                None => self.add(id, now, now),
            },
            CoalescingPolicy::WhileActive { then: WhenActive::Skip } => match self.tasks.last() {
                Some(task) => Answer::Into(task.id),
                None => self.add(id, now, now),
            },
            CoalescingPolicy::WhileActive {
                then: WhenActive::RunAgainOnce,
            } => match self.tasks.iter_mut().find(|task| task.state == State::Fresh) {
                Some(task) => task.become_one(id, task.due),
                None => self.add(id, now, now),
            },
            CoalescingPolicy::Debounce { quiet, max_wait } => match self.tasks.iter_mut().find(is_window) {
                Some(task) => {
                    let latest = max_wait.map_or(Timestamp::MAX_UTC, |wait| after(task.opened, wait));
                    task.become_one(id, after(now, quiet).min(latest))
                }
                None => self.add(id, after(now, quiet), now),
            },
            CoalescingPolicy::Throttle { every } => match self.tasks.iter_mut().find(is_window) {
                Some(task) => Answer::Into(task.id),
                None => self.add(id, after(now, every), now),
            },
            CoalescingPolicy::LatestThrottle { every } => match self.tasks.iter_mut().find(is_window) {
                Some(task) => task.become_one(id, task.due),
                None => self.add(id, after(now, every), now),
            },
        }
    }

    fn add(&mut self, id: MessageId, due: Timestamp, now: Timestamp) -> Answer {
        self.tasks.push(Modelled {
            id,
            opened: now,
            due,
            state: State::Fresh,
            losses: 0,
        });
        Answer::New
    }

    /// The tasks a worker may be given at `now`.
    pub(super) fn due(&self, now: Timestamp) -> Vec<MessageId> {
        let may_run = match self.policy {
            // One after the other.
            CoalescingPolicy::WhileActive {
                then: WhenActive::RunAgainOnce,
            } => 1,
            _ => self.tasks.len(),
        };
        let first = self.tasks.iter().take(may_run);
        first
            .filter(|task| task.state != State::Running && task.due <= now)
            .map(|task| task.id)
            .collect()
    }

    /// When something is due that is not at `now`.
    pub(super) fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.tasks.iter().map(|task| task.due).filter(|due| *due > now).min()
    }

    pub(super) fn taken(&mut self, id: MessageId) {
        self.change(id, |task| task.state = State::Running);
    }

    pub(super) fn over(&mut self, id: MessageId) {
        self.tasks.retain(|task| task.id != id);
    }

    /// It comes again at `due`; `is_lost` when nobody said so.
    pub(super) fn again(&mut self, id: MessageId, due: Option<Timestamp>, is_lost: bool) {
        self.change(id, |task| {
            task.state = State::Again;
            task.due = due.unwrap_or(task.due);
            task.losses += u32::from(is_lost);
        });
    }

    fn change(&mut self, id: MessageId, change: impl FnOnce(&mut Modelled)) {
        if let Some(task) = self.tasks.iter_mut().find(|task| task.id == id) {
            change(task);
        }
    }
}

impl Modelled {
    /// The newer publish takes its place.
    fn become_one(&mut self, id: MessageId, due: Timestamp) -> Answer {
        let gone = self.id;
        (self.id, self.due) = (id, due);
        Answer::InsteadOf(gone)
    }
}
