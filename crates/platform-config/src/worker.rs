//! `AFTERCOMMIT_WORKER__*`: what holds for every topic that says nothing else.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};
use std::time::Duration;

/// Settings of the workers.
#[derive(Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Handlers of one topic that run at the same time. Defaults to 20.
    pub concurrency: usize,
    /// How long one attempt may take. Defaults to 60 s.
    pub timeout: Duration,
    /// Deliveries fetched for each handler that may run at the same time. Defaults to 4.
    pub prefetch_factor: usize,
}

/// The range of a number of handlers, here and per topic.
pub(crate) const CONCURRENCY: Form = Form::Count { min: 1, max: 10_000 };
/// The range of an attempt's time, here and per topic.
pub(crate) const TIMEOUT: Form = Form::Span {
    min: Duration::from_millis(10),
    max: Duration::from_hours(24),
};

pub(crate) static KEYS: [Key; 3] = [
    Key::new(
        "worker.concurrency",
        CONCURRENCY,
        Preset::Value("20"),
        "Handlers of one topic that run at the same time, unless the topic says otherwise.",
    ),
    Key::new(
        "worker.timeout",
        TIMEOUT,
        Preset::Value("60s"),
        "How long one attempt may take, unless the topic or the task says otherwise.",
    ),
    Key::new(
        "worker.prefetch_factor",
        Form::Count { min: 1, max: 100 },
        Preset::Value("4"),
        "Deliveries fetched for each handler that may run at the same time.",
    ),
];

impl WorkerSettings {
    pub(crate) fn read(reading: &mut Reading<'_>) -> Self {
        let [concurrency, timeout, prefetch_factor] = &KEYS;
        Self {
            concurrency: reading.count(concurrency),
            timeout: reading.span(timeout),
            prefetch_factor: reading.count(prefetch_factor),
        }
    }
}
