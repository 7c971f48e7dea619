//! `AFTERCOMMIT_WORKER__*`: what a process does, and what holds for every topic that says nothing else.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
    role::{self, Role, roles_of},
    topic_name::{self, topics_of},
};
use std::{collections::BTreeSet, time::Duration};

/// Settings of the workers.
#[derive(Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// What this process does. Defaults to everything.
    pub roles: BTreeSet<Role>,
    /// The topics that it runs, if running topics is one of its roles. `None`, the default, for all that are declared.
    pub topics: Option<BTreeSet<String>>,
    /// Handlers of one topic that run at the same time. Defaults to 20.
    pub concurrency: usize,
    /// How long one attempt may take. Defaults to 60 s.
    pub timeout: Duration,
    /// Deliveries fetched for each handler that may run at the same time. Defaults to 4.
    pub prefetch_factor: usize,
    /// How long a task stays a worker's without a sign of life. Defaults to 30 s.
    pub lease: Duration,
    /// Runs that a task may lose with nothing beside it before it is given up. Defaults to 3.
    pub max_lost_runs: u32,
    /// How long an event or a task waits that this build does not know, or not in its version. Defaults to 5 min.
    pub unknown_patience: Duration,
}

/// The range of a number of handlers, here and per topic.
pub(crate) const CONCURRENCY: Form = Form::Count { min: 1, max: 10_000 };
/// The range of an attempt's time, here and per topic.
pub(crate) const TIMEOUT: Form = Form::Span {
    min: Duration::from_millis(10),
    max: Duration::from_hours(24),
};

pub(crate) static KEYS: [Key; 8] = [
    Key::new(
        "worker.roles",
        Form::List("all, or some of relay, dispatcher, topics, scheduler and maintenance with commas between them"),
        Preset::Value(role::ALL),
        "What this process does. Every role needs at least one process somewhere.",
    ),
    Key::new(
        "worker.topics",
        Form::List("all, or names of topics with commas between them, such as receipts,invitation-email"),
        Preset::Value(role::ALL),
        "The topics that this process runs. Only with the role topics; every topic needs at least one process somewhere.",
    ),
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
    Key::new(
        "worker.lease",
        Form::seconds(1, 3_600),
        Preset::Value("30s"),
        "How long a task stays with a process that gives no sign of life, before another one runs it. A process that is alive \
         keeps its tasks however long they run.",
    ),
    Key::new(
        "worker.max_lost_runs",
        Form::Count { min: 1, max: 1_000 },
        Preset::Value("3"),
        "Runs that a task may lose alone before it is a dead letter: its process died while it ran nothing else, or kept silent \
         for longer than the lease. More where somebody else kills processes often; 1 gives up what was alone when its process \
         died once. The same everywhere: the role maintenance decides.",
    ),
    Key::new(
        "worker.unknown_patience",
        Form::Span {
            min: Duration::ZERO,
            max: Duration::from_hours(24),
        },
        Preset::Value("5m"),
        "How long an event or a task waits that this build does not know, or not in its version: while processes are exchanged \
         one after the other, another one may know it. Then it is a dead letter; 0s makes it one at once.",
    ),
];

impl WorkerSettings {
    pub(crate) fn read(reading: &mut Reading<'_>) -> Self {
        let [
            roles_key,
            topics_key,
            concurrency,
            timeout,
            prefetch_factor,
            lease,
            max_lost_runs,
            unknown_patience,
        ] = &KEYS;
        let roles = reading.list(roles_key, roles_of, role::written);
        let topics = reading.list(topics_key, some_topics, |topics| match topics {
            Some(topics) => topic_name::written(topics),
            None => role::ALL.to_owned(),
        });
        let runs_no_topics = roles.as_ref().is_some_and(|roles| !roles.contains(&Role::Topics));
        if runs_no_topics && topics.as_ref().is_some_and(Option::is_some) {
            let problem = format!("names topics, but topics is not one of {}", roles_key.name("").variable);
            reading.refuse_expecting(topics_key, &problem, "all, or the role topics");
        }
        Self {
            roles: roles.unwrap_or_default(),
            topics: topics.flatten(),
            concurrency: reading.count(concurrency),
            timeout: reading.span(timeout),
            prefetch_factor: reading.count(prefetch_factor),
            lease: reading.span(lease),
            max_lost_runs: reading.count(max_lost_runs),
            unknown_patience: reading.span(unknown_patience),
        }
    }
}

/// `None` for all.
fn some_topics(words: &[String]) -> Result<Option<BTreeSet<String>>, String> {
    match words {
        [word] if word == role::ALL => Ok(None),
        words if words.iter().any(|word| word == role::ALL) => Err("has all beside others".to_owned()),
        words => topics_of(words).map(Some),
    }
}
