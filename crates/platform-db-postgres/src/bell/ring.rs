//! What a ring tells.

use std::collections::BTreeSet;

/// The longest payload; PostgreSQL takes less than 8000 bytes. What is longer becomes "anything".
const LONGEST: usize = 4000;

/// What is to be looked at. Empty, it tells nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ring {
    /// The outbox has rows.
    pub outbox: bool,
    /// The outbox will have rows soon, by a commit that nobody here sees.
    pub outbox_expected: bool,
    /// Tasks may be due at another time than was known.
    pub due_times: bool,
    /// Topics with tasks that are due.
    pub topics: BTreeSet<String>,
    /// Anything may have happened.
    pub anything: bool,
}

/// Words that are no topics: a topic begins with a letter.
const OUTBOX: &str = "+";
const OUTBOX_EXPECTED: &str = "?";
const DUE_TIMES: &str = "~";
const ANYTHING: &str = "*";

impl Ring {
    /// That there are rows in the outbox.
    pub fn outbox() -> Self {
        Self {
            outbox: true,
            ..Self::default()
        }
    }

    /// That there will be rows in the outbox soon.
    pub fn outbox_expected() -> Self {
        Self {
            outbox_expected: true,
            ..Self::default()
        }
    }

    /// That this topic has a task that is due.
    pub fn topic(name: &str) -> Self {
        Self {
            topics: BTreeSet::from([name.to_owned()]),
            ..Self::default()
        }
    }

    /// That tasks may be due at another time than was known.
    pub fn due_times() -> Self {
        Self {
            due_times: true,
            ..Self::default()
        }
    }

    /// That anything may have happened.
    pub fn anything() -> Self {
        Self {
            anything: true,
            ..Self::default()
        }
    }

    /// Tells both.
    pub(super) fn add(&mut self, other: &Self) {
        self.outbox |= other.outbox;
        self.outbox_expected |= other.outbox_expected;
        self.due_times |= other.due_times;
        self.anything |= other.anything;
        for topic in &other.topics {
            if !self.topics.contains(topic) {
                self.topics.insert(topic.clone());
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As it is sent by `process`. `None` when there is nothing to tell.
    pub(super) fn payload(&self, process: &str) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let marks = [
            (self.outbox, OUTBOX),
            (self.outbox_expected, OUTBOX_EXPECTED),
            (self.due_times, DUE_TIMES),
            (self.anything, ANYTHING),
        ];
        let marks = marks.into_iter().filter_map(|(is_set, word)| is_set.then_some(word));
        let mut payload = process.to_owned();
        for word in marks.chain(self.topics.iter().map(String::as_str)) {
            payload.push(' ');
            payload.push_str(word);
        }
        if payload.len() > LONGEST {
            payload = format!("{process} {ANYTHING}");
        }
        Some(payload)
    }

    /// What another process sent; `None` when it was `process` itself. A newer version may say more than is known here.
    pub(super) fn read(payload: &str, process: &str) -> Option<Self> {
        let mut words = payload.split(' ');
        if words.next() == Some(process) {
            return None;
        }
        let mut ring = Self::default();
        for word in words {
            match word {
                OUTBOX => ring.outbox = true,
                OUTBOX_EXPECTED => ring.outbox_expected = true,
                DUE_TIMES => ring.due_times = true,
                topic if topic.starts_with(|first: char| first.is_ascii_alphabetic()) => {
                    ring.topics.insert(topic.to_owned());
                }
                _ => ring.anything = true,
            }
        }
        if ring.is_empty() {
            ring.anything = true;
        }
        Some(ring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_heard() {
        let mut ring = Ring::outbox();
        ring.add(&Ring::topic("invitation-email"));
        ring.add(&Ring::topic("domain-events"));
        ring.add(&Ring::due_times());
        ring.add(&Ring::outbox_expected());
        let payload = ring.payload("a1").unwrap();
        assert_eq!(payload, "a1 + ? ~ domain-events invitation-email");
        assert_eq!(Ring::read(&payload, "b2"), Some(ring));
    }

    #[test]
    fn one_does_not_hear_oneself() {
        assert_eq!(Ring::read(&Ring::outbox().payload("a1").unwrap(), "a1"), None);
    }

    #[test]
    fn too_many_topics_are_anything() {
        let mut ring = Ring::default();
        for number in 0..1000 {
            ring.add(&Ring::topic(&format!("topic-{number}")));
        }
        let payload = ring.payload("a1").unwrap();
        assert_eq!(Ring::read(&payload, "b2"), Some(Ring::anything()));
    }

    #[test]
    fn what_is_not_understood_is_anything() {
        for payload in ["", "a1", "a1 !", "a1 7"] {
            assert!(Ring::read(payload, "b2").unwrap().anything, "{payload}");
        }
    }
}
