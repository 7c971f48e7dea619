//! `AFTERCOMMIT_SQLITE__*`: how the embedded database is used.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};
use std::time::Duration;

/// Settings of the embedded database.
#[derive(Debug, PartialEq, Eq)]
pub struct SqliteSettings {
    /// What a commit waits for. Defaults to full.
    pub synchronous: Synchronous,
    /// Connections that only read. Defaults to 4.
    pub reader_connections: u32,
    /// How long anyone waits for a turn to write, or for a connection to read. Defaults to 5 s.
    pub acquire_timeout: Duration,
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// The disk has it: nothing that was acknowledged is lost when the power fails.
    #[default]
    Full,
    /// The operating system has it: a crash of the process loses nothing, a power failure may lose the last commits.
    Normal,
}

pub(crate) static KEYS: [Key; 3] = [
    Key::new(
        "sqlite.synchronous",
        Form::Choice(&["full", "normal"]),
        Preset::Value("full"),
        "What a commit waits for: the disk, or (a power failure may then lose the last commits) the operating system.",
    ),
    Key::new(
        "sqlite.reader_connections",
        Form::Count { min: 1, max: 64 },
        Preset::Value("4"),
        "Connections that only read.",
    ),
    Key::new(
        "sqlite.acquire_timeout",
        Form::Span {
            min: Duration::from_millis(100),
            max: Duration::from_mins(1),
        },
        Preset::Value("5s"),
        "How long anyone waits for a turn to write, or for a connection to read.",
    ),
];

impl SqliteSettings {
    pub(crate) fn read(reading: &mut Reading<'_>) -> Self {
        let [synchronous, reader_connections, acquire_timeout] = &KEYS;
        Self {
            synchronous: reading.choice(synchronous, &[Synchronous::Full, Synchronous::Normal]),
            reader_connections: reading.count(reader_connections),
            acquire_timeout: reading.span(acquire_timeout),
        }
    }
}
