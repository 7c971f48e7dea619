//! `AFTERCOMMIT_RELAY__*`: how the relay empties the outbox.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};
use std::time::Duration;

/// Settings of the relay.
#[derive(Debug, PartialEq, Eq)]
pub struct RelaySettings {
    /// Outbox rows that one claim takes. Defaults to 256.
    pub batch_size: usize,
    /// How long a claim keeps its rows from other relays. Defaults to 30 s.
    pub lease: Duration,
    /// The longest wait between two looks into an idle outbox. Defaults to 1 s.
    pub idle_poll: Duration,
    /// Failed attempts after which a row is quarantined. Defaults to 20.
    pub max_attempts: u32,
    /// How old the oldest unpublished row may become before `/ready` tells of it. Defaults to 1 min.
    pub max_lag: Duration,
}

pub(crate) static KEYS: [Key; 5] = [
    Key::new(
        "relay.batch_size",
        Form::Count { min: 1, max: 10_000 },
        Preset::Value("256"),
        "Outbox rows that one claim takes.",
    ),
    Key::new(
        "relay.lease",
        Form::seconds(1, 3_600),
        Preset::Value("30s"),
        "How long a claim keeps its rows from other relays.",
    ),
    Key::new(
        "relay.idle_poll",
        Form::Span {
            min: Duration::from_millis(10),
            max: Duration::from_mins(1),
        },
        Preset::Value("1s"),
        "The longest wait between two looks into an idle outbox.",
    ),
    Key::new(
        "relay.max_attempts",
        Form::Count { min: 1, max: 1_000 },
        Preset::Value("20"),
        "Failed attempts after which an outbox row is quarantined.",
    ),
    Key::new(
        "relay.max_lag",
        Form::seconds(1, 86_400),
        Preset::Value("1m"),
        "How old the oldest unpublished row may become before /ready tells of it with 503.",
    ),
];

impl RelaySettings {
    pub(crate) fn read(reading: &mut Reading<'_>) -> Self {
        let [batch_size, lease, idle_poll, max_attempts, max_lag] = &KEYS;
        Self {
            batch_size: reading.count(batch_size),
            lease: reading.span(lease),
            idle_poll: reading.span(idle_poll),
            max_attempts: reading.count(max_attempts),
            max_lag: reading.span(max_lag),
        }
    }
}
