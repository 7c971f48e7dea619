//! `AFTERCOMMIT_SHUTDOWN__*`: how long a stop waits.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};
use std::time::Duration;

/// Settings of an orderly stop.
#[derive(Debug, PartialEq, Eq)]
pub struct ShutdownSettings {
    /// How long running handlers may finish by themselves. Defaults to 15 s.
    pub grace: Duration,
    /// How long handlers may take to end once they are cancelled. Defaults to 8 s.
    pub cancel: Duration,
}

pub(crate) static KEYS: [Key; 2] = [
    Key::new(
        "shutdown.grace",
        Form::seconds(0, 600),
        Preset::Value("15s"),
        "How long running handlers may finish by themselves when the process stops.",
    ),
    Key::new(
        "shutdown.cancel",
        Form::seconds(0, 600),
        Preset::Value("8s"),
        "How long handlers may take to end once they are cancelled.",
    ),
];

impl ShutdownSettings {
    pub(crate) fn read(reading: &mut Reading<'_>) -> Self {
        let [grace, cancel] = &KEYS;
        Self {
            grace: reading.span(grace),
            cancel: reading.span(cancel),
        }
    }
}
