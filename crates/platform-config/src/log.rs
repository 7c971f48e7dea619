//! `AFTERCOMMIT_LOG__*`: what is logged, and how.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};

/// Settings of the log.
#[derive(Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Directives of the form `info,aftercommit_runtime=debug`. Defaults to `info,lapin::returned_messages=error`.
    pub filter: String,
    /// How lines are written. Defaults to pretty.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object per line.
    Json,
}

pub(crate) static KEYS: [Key; 2] = [
    Key::new(
        "log.filter",
        Form::Described("levels by target, such as info or info,aftercommit_runtime=debug"),
        // That target writes whole messages, bodies included, when a broker returns them.
        Preset::Value("info,lapin::returned_messages=error"),
        "What is logged.",
    ),
    Key::new(
        "log.format",
        Form::Choice(&["pretty", "json"]),
        Preset::Value("pretty"),
        "How log lines are written: for people, or one JSON object per line.",
    ),
];

impl LogSettings {
    pub(crate) fn read(reading: &mut Reading<'_>) -> Self {
        let [filter, format] = &KEYS;
        Self {
            filter: reading
                .parsed(filter, |text| Ok(text.to_owned()), String::clone)
                .unwrap_or_default(),
            format: reading.choice(format, &[LogFormat::Pretty, LogFormat::Json]),
        }
    }
}
