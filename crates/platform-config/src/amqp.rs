//! `AFTERCOMMIT_AMQP__*`: how a RabbitMQ server is used.

use crate::{
    amqp_certificates::AmqpCertificates,
    amqp_url::AmqpServer,
    duration::Written,
    error::{ConfigError, ConfigErrors},
    key::{Form, Key, Preset},
    reading::Reading,
    suggestion::nearest,
    topic_name::{topics_of, written},
};
use std::{collections::BTreeSet, time::Duration};

/// Settings of the RabbitMQ server that carries tasks. `Debug` leaves the password out.
#[derive(Debug, Clone)]
pub struct AmqpSettings {
    /// The server. From `AMQP_URL`.
    pub server: AmqpServer,
    /// Whom the server is trusted to be, and who this process is to it.
    pub certificates: AmqpCertificates,
    /// The first word of every queue and exchange. Defaults to `aftercommit`.
    pub prefix: String,
    /// The topics whose order keys are kept by partitions, besides `domain-events`, where they always are. None by default.
    pub ordered_topics: BTreeSet<String>,
    /// The partitions of each such topic. Defaults to 4.
    pub partitions: u16,
    /// Messages the queue of a topic takes before it refuses more; 0 for any number, which is the default.
    pub max_length: u32,
    /// Whether this process may create queues and exchanges; otherwise it only checks them. Defaults to true.
    pub declare: bool,
    /// Whether every dispatched event is also published to the exchange `<prefix>.events`. Defaults to false.
    pub publish_events: bool,
    /// How long a connection may be silent: whole seconds. Defaults to 4 s.
    pub heartbeat: Duration,
    /// How long connecting may take. Defaults to 5 s.
    pub connect_timeout: Duration,
    /// How long the server may take to confirm a message: longer than two heartbeats. Defaults to 9 s.
    pub confirm_timeout: Duration,
}

pub(crate) static KEYS: [Key; 9] = [
    Key::new(
        "amqp.prefix",
        Form::Described("1 to 40 of a-z, 0-9, -, _ and ."),
        Preset::Value("aftercommit"),
        "The first word of every queue and exchange. Applications that share a vhost need different ones.",
    ),
    Key::new(
        "amqp.ordered_topics",
        Form::List("names of topics with commas between them, such as receipts,invitation-email"),
        Preset::Unset("domain-events alone, which always is"),
        "The topics whose order keys are kept, by partitions on the server. All processes need the same.",
    ),
    Key::new(
        "amqp.partitions",
        Form::Count { min: 1, max: 64 },
        Preset::Value("4"),
        "The partitions of each ordered topic: as many of its tasks with different order keys run at the same time. All \
         processes need the same.",
    ),
    Key::new(
        "amqp.max_length",
        Form::Count {
            min: 0,
            max: 100_000_000,
        },
        Preset::Value("0"),
        "Messages the queue of a topic takes before it refuses more, 0 for any number: what it refuses waits in the outbox, and \
         delays of other topics are held up while it does.",
    ),
    Key::new(
        "amqp.declare",
        Form::Flag,
        Preset::Value("true"),
        "Whether this process may create queues and exchanges; otherwise it only checks that they are there.",
    ),
    Key::new(
        "amqp.publish_events",
        Form::Flag,
        Preset::Value("false"),
        "Whether every dispatched event is also published to the exchange <prefix>.events, for other systems.",
    ),
    Key::new(
        "amqp.heartbeat",
        Form::seconds(1, 60),
        Preset::Value("4s"),
        "How long a connection may be silent before it counts as lost: whole seconds.",
    ),
    Key::new(
        "amqp.connect_timeout",
        Form::Span {
            min: Duration::from_millis(100),
            max: Duration::from_mins(1),
        },
        Preset::Value("5s"),
        "How long connecting may take.",
    ),
    Key::new(
        "amqp.confirm_timeout",
        Form::seconds(1, 600),
        Preset::Value("9s"),
        "How long the server may take to confirm a message: longer than two heartbeats, within which a lost connection is \
         noticed.",
    ),
];

impl AmqpSettings {
    /// Reads every key of the section. `None` without a server.
    pub(crate) fn read(reading: &mut Reading<'_>, server: Option<AmqpServer>) -> Option<Self> {
        let [
            prefix,
            ordered_topics,
            partitions,
            max_length,
            declare,
            publish_events,
            heartbeat_key,
            connect_timeout,
            confirm_key,
        ] = &KEYS;
        // Read in any case, so that a bad value is found and the defaults are shown.
        let prefix = reading.parsed(
            prefix,
            |text| check_prefix(text).map(|()| text.to_owned()),
            String::clone,
        );
        let ordered_topics = reading.list(ordered_topics, topics_of, written);
        let partitions = reading.count(partitions);
        let max_length = reading.count(max_length);
        let declare = reading.flag(declare);
        let publish_events = reading.flag(publish_events);
        let heartbeat = reading.span_for("", heartbeat_key);
        let connect_timeout = reading.span(connect_timeout);
        let confirm_timeout = reading.span_for("", confirm_key);
        let certificates = AmqpCertificates::read(reading, server.as_ref());
        if heartbeat.is_some_and(|heartbeat| heartbeat.subsec_millis() > 0) {
            reading.refuse("", heartbeat_key, "is not a whole number of seconds");
        }
        if let (Some(heartbeat), Some(confirm)) = (heartbeat, confirm_timeout)
            && confirm <= heartbeat * 2
        {
            let problem = format!(
                "{} is not longer than two times {}, which is {}",
                Written(confirm),
                heartbeat_key.name("").variable,
                Written(heartbeat)
            );
            reading.refuse_expecting(confirm_key, &problem, &format!("more than {}", Written(heartbeat * 2)));
        }
        Some(Self {
            server: server?,
            certificates,
            prefix: prefix.unwrap_or_default(),
            ordered_topics: ordered_topics.unwrap_or_default(),
            partitions,
            max_length,
            declare,
            publish_events,
            heartbeat: heartbeat.unwrap_or_default(),
            connect_timeout,
            confirm_timeout: confirm_timeout.unwrap_or_default(),
        })
    }

    /// `Ok` when every topic of `ordered_topics` is one of `known`.
    ///
    /// # Errors
    /// One line for each name that no topic has: the order that it asks for would silently not be kept.
    pub fn check_topics(&self, known: &[&str]) -> Result<(), ConfigErrors> {
        let [_, key, ..] = &KEYS;
        let unknown: Vec<ConfigError> = self
            .ordered_topics
            .iter()
            .filter(|topic| !known.contains(&topic.as_str()))
            .map(|topic| {
                let problem = match nearest(topic, known.iter().map(|known| (*known).to_owned())) {
                    Some(suggestion) => format!("no topic is called {topic}, did you mean {suggestion}?"),
                    None => format!("no topic is called {topic}; `aftercommit routes` lists the topics"),
                };
                ConfigError::new(&key.name("").variable, &problem)
            })
            .collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors::new(unknown))
        }
    }

    /// What works but should be changed.
    pub(crate) fn warning(&self) -> Option<String> {
        self.server.warning()
    }
}

fn check_prefix(text: &str) -> Result<(), String> {
    if text.len() > 40 {
        return Err("is longer than 40 characters".to_owned());
    }
    if !text
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
    {
        return Err("has other characters".to_owned());
    }
    if text == "amq" || text.starts_with("amq.") {
        return Err("begins with amq, which the server keeps for itself".to_owned());
    }
    Ok(())
}
