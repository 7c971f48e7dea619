//! `AFTERCOMMIT_TOPICS__<TOPIC>__*`: what one topic does differently.

use crate::{
    error::{ConfigError, ConfigErrors},
    key::{Form, Key, Preset},
    names::topic_id,
    reading::Reading,
    suggestion::nearest,
    worker::{CONCURRENCY, TIMEOUT},
};
use std::{collections::BTreeMap, time::Duration};

/// Settings of one topic. What is `None` follows the code of the topic, then [`WorkerSettings`](crate::WorkerSettings).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicSettings {
    /// Handlers that run at the same time.
    pub concurrency: Option<usize>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// Attempts after which a task is dead.
    pub max_attempts: Option<u32>,
    /// The wait before the second attempt.
    pub base_delay: Option<Duration>,
    /// The longest wait between two attempts.
    pub max_delay: Option<Duration>,
}

/// The topics that the configuration names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TopicsSettings(BTreeMap<String, TopicSettings>);

pub(crate) static KEYS: [Key; 5] = [
    Key::new(
        "topics.<topic>.concurrency",
        CONCURRENCY,
        Preset::Unset("the topic's own number, otherwise worker.concurrency"),
        "Handlers of this topic that run at the same time.",
    ),
    Key::new(
        "topics.<topic>.timeout",
        TIMEOUT,
        Preset::Unset("the task's own time, otherwise worker.timeout"),
        "How long one attempt may take.",
    ),
    Key::new(
        "topics.<topic>.max_attempts",
        Form::Count { min: 1, max: 1_000 },
        Preset::Unset("the task's own number"),
        "Attempts after which a task is dead.",
    ),
    Key::new(
        "topics.<topic>.base_delay",
        Form::Span {
            min: Duration::from_millis(1),
            max: Duration::from_hours(24),
        },
        Preset::Unset("the task's own time"),
        "The wait before the second attempt; it doubles with each further one.",
    ),
    Key::new(
        "topics.<topic>.max_delay",
        Form::Span {
            min: Duration::from_millis(1),
            max: Duration::from_hours(7 * 24),
        },
        Preset::Unset("the task's own time"),
        "The longest wait between two attempts.",
    ),
];

impl TopicsSettings {
    pub(crate) fn read(reading: &mut Reading<'_>) -> Self {
        let topics = reading.topics();
        Self(
            topics
                .into_iter()
                .map(|topic| (topic.clone(), TopicSettings::read(reading, &topic)))
                .collect(),
        )
    }

    /// What the configuration says about a topic, by the name that the code gives it.
    pub fn of(&self, topic: &str) -> TopicSettings {
        self.0.get(&topic_id(topic)).cloned().unwrap_or_default()
    }

    /// `Ok` when every topic that the configuration names is one of `known`.
    ///
    /// # Errors
    /// One line for each name that no topic has, because its settings would have no effect.
    pub fn check(&self, known: &[&str]) -> Result<(), ConfigErrors> {
        let known: Vec<String> = known.iter().map(|topic| topic_id(topic)).collect();
        let unknown: Vec<ConfigError> = self
            .0
            .keys()
            .filter(|id| !known.contains(id))
            .map(|id| unknown_topic(id, &known))
            .collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors::new(unknown))
        }
    }
}

impl TopicSettings {
    fn read(reading: &mut Reading<'_>, topic: &str) -> Self {
        let [concurrency, timeout, max_attempts, base_delay, max_delay] = &KEYS;
        let settings = Self {
            concurrency: reading.count_for(topic, concurrency),
            timeout: reading.span_for(topic, timeout),
            max_attempts: reading.count_for(topic, max_attempts),
            base_delay: reading.span_for(topic, base_delay),
            max_delay: reading.span_for(topic, max_delay),
        };
        if let (Some(base), Some(max)) = (settings.base_delay, settings.max_delay)
            && max < base
        {
            reading.refuse(topic, max_delay, "is shorter than base_delay");
        }
        settings
    }
}

fn unknown_topic(id: &str, known: &[String]) -> ConfigError {
    let problem = match nearest(id, known.iter().cloned()) {
        Some(suggestion) => format!("no topic has this name, did you mean AFTERCOMMIT_TOPICS__{suggestion}__…?"),
        None => "no topic has this name; `aftercommit routes` lists the topics".to_owned(),
    };
    ConfigError::new(&format!("AFTERCOMMIT_TOPICS__{id}__…"), &problem)
}
