//! `AFTERCOMMIT_HISTORY__*`: what is kept of finished work.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};
use std::time::Duration;

/// Settings of the history.
#[derive(Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// Which successes are recorded. Defaults to all; every other outcome is always recorded.
    pub successes: Successes,
    /// How long records are kept. Defaults to 14 d.
    pub retention: Duration,
    /// How long the inbox remembers what was done. Defaults to 14 d.
    pub inbox: Duration,
}

/// Which tasks that completed are recorded one by one. Counters count all of them in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Successes {
    /// Every one.
    #[default]
    All,
    /// Some of them.
    Sampled,
    /// None.
    None,
}

pub(crate) static KEYS: [Key; 3] = [
    Key::new(
        "history.successes",
        Form::Choice(&["all", "sampled", "none"]),
        Preset::Value("all"),
        "Which completed tasks are recorded one by one. Every other outcome is always recorded.",
    ),
    Key::new(
        "history.retention",
        Form::seconds(3_600, 3_650 * 86_400),
        Preset::Value("14d"),
        "How long finished tasks and dispatched events are kept.",
    ),
    Key::new(
        "history.inbox",
        Form::seconds(86_400, 3_650 * 86_400),
        Preset::Value("14d"),
        "How long the inbox remembers what was done: longer than any way a task can come again. As long as a task is a dead letter it is remembered in any case.",
    ),
];

impl HistorySettings {
    pub(crate) fn read(reading: &mut Reading<'_>) -> Self {
        let [successes, retention, inbox] = &KEYS;
        Self {
            successes: reading.choice(successes, &[Successes::All, Successes::Sampled, Successes::None]),
            retention: reading.span(retention),
            inbox: reading.span(inbox),
        }
    }
}
