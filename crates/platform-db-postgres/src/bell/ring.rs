//! What a ring tells.

use std::collections::BTreeSet;

/// The longest payload; PostgreSQL takes less than 8000 bytes. What is longer becomes "anything".
const LONGEST: usize = 4000;

/// What other processes are told: all of it, in whatever order it happened. Empty, it tells nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ring(BTreeSet<Told>);

/// One thing that others are told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// Anything may have happened.
    Anything,
    /// The outbox has rows.
    Outbox,
    /// The outbox will have rows soon, by a commit that nobody sees.
    OutboxExpected,
    /// Tasks may be due at another time than was known.
    DueTimes,
    /// This topic has a task that is due.
    Topic(String),
}

/// Words that are no topics: a topic begins with a letter.
const ANYTHING: &str = "*";
const OUTBOX: &str = "+";
const OUTBOX_EXPECTED: &str = "?";
const DUE_TIMES: &str = "~";

impl Ring {
    /// One thing alone.
    pub(super) fn of(told: Told) -> Self {
        Self(BTreeSet::from([told]))
    }

    /// Everything it tells.
    pub fn told(&self) -> impl Iterator<Item = &Told> {
        self.0.iter()
    }

    pub(super) fn tells(&self, told: &Told) -> bool {
        self.0.contains(told)
    }

    pub(super) fn add(&mut self, told: Told) {
        self.0.insert(told);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As it is sent by `process`. `None` when there is nothing to tell.
    pub(super) fn payload(&self, process: &str) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let mut payload = process.to_owned();
        for told in &self.0 {
            payload.push(' ');
            payload.push_str(match told {
                Told::Anything => ANYTHING,
                Told::Outbox => OUTBOX,
                Told::OutboxExpected => OUTBOX_EXPECTED,
                Told::DueTimes => DUE_TIMES,
                Told::Topic(name) => name,
            });
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
        let mut ring = Self(words.map(told).collect());
        if ring.is_empty() {
            ring.add(Told::Anything);
        }
        Some(ring)
    }
}

fn told(word: &str) -> Told {
    match word {
        OUTBOX => Told::Outbox,
        OUTBOX_EXPECTED => Told::OutboxExpected,
        DUE_TIMES => Told::DueTimes,
        topic if topic.starts_with(|first: char| first.is_ascii_alphabetic()) => Told::Topic(topic.to_owned()),
        _ => Told::Anything,
    }
}

impl IntoIterator for Ring {
    type Item = Told;
    type IntoIter = std::collections::btree_set::IntoIter<Told>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_heard() {
        let mut ring = Ring::of(Told::Outbox);
        ring.add(Told::Topic("invitation-email".into()));
        ring.add(Told::Topic("domain-events".into()));
        ring.add(Told::DueTimes);
        ring.add(Told::OutboxExpected);
        let payload = ring.payload("a1").unwrap();
        assert_eq!(payload, "a1 + ? ~ domain-events invitation-email");
        assert_eq!(Ring::read(&payload, "b2"), Some(ring));
    }

    #[test]
    fn one_does_not_hear_oneself() {
        assert_eq!(Ring::read(&Ring::of(Told::Outbox).payload("a1").unwrap(), "a1"), None);
    }

    #[test]
    fn nothing_is_not_sent() {
        assert_eq!(Ring::default().payload("a1"), None);
    }

    #[test]
    fn too_many_topics_are_anything() {
        let ring = Ring((0..1000).map(|number| Told::Topic(format!("topic-{number}"))).collect());
        let payload = ring.payload("a1").unwrap();
        assert_eq!(Ring::read(&payload, "b2"), Some(Ring::of(Told::Anything)));
    }

    #[test]
    fn what_is_not_understood_is_anything() {
        for payload in ["", "a1", "a1 !", "a1 7"] {
            assert!(Ring::read(payload, "b2").unwrap().tells(&Told::Anything), "{payload}");
        }
    }
}
