//! Where the broker is, and what the queue on it works with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Limits, TopicName};
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::{
    DeadLetters, HeldTasks, QueueConsumer, QueueMaintenance, QueuePublisher, TaskHistory, TaskInspector,
};
use aftercommit_domain::time::Clock;
use secrecy::SecretString;

/// Where the broker is and how it is used.
#[derive(Clone)]
pub struct AmqpOptions {
    /// A host name or an address, without brackets.
    pub host: String,
    /// Its port: 5672, or 5671 with TLS.
    pub port: u16,
    /// The virtual host. Defaults to `/`.
    pub vhost: String,
    /// Who logs in.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// TLS; `None` for plain text, which everybody on the way can read and change.
    pub tls: Option<AmqpTls>,
    /// The first word of every name on the broker. Defaults to `aftercommit`.
    pub prefix: String,
    /// Topics whose order keys are kept by partitions on the broker, besides `domain-events`. Those of other topics are kept
    /// by the database, which is slower.
    pub ordered_topics: Vec<TopicName>,
    /// How many partitions such a topic has, from 1. Keys move to other partitions when it is changed, so it is changed while
    /// they are empty. Defaults to 4.
    pub partitions: u16,
    /// How many messages the queue of a topic takes before it refuses more; partitions take any number. While it refuses, what
    /// has waited for it keeps what has waited for other topics from going on. Defaults to none: until the broker itself has
    /// no room.
    pub max_length: Option<u32>,
    /// Whether queues and exchanges are created; if not, they are only looked for. Defaults to `true`.
    pub declare: bool,
    /// Whether dispatched events are also published to the exchange `<prefix>.events`, for other systems. Defaults to `false`.
    pub publish_events: bool,
    /// How often each side gives a sign of life; a dead peer is noticed after twice that. Defaults to 4 s.
    pub heartbeat: Duration,
    /// The longest it may take to connect. Defaults to 5 s.
    pub connect_timeout: Duration,
    /// The longest the broker may take to confirm; longer than two heartbeats. Defaults to 9 s.
    pub confirm_timeout: Duration,
    /// The name of this process on the broker's lists.
    pub name: String,
}

/// What TLS is done with, in PEM.
#[derive(Clone, Default)]
pub struct AmqpTls {
    /// Authorities trusted besides those of the machine.
    pub authorities: Option<String>,
    /// The certificate this side shows, and its key.
    pub identity: Option<(Vec<u8>, SecretString)>,
}

impl AmqpOptions {
    /// A broker on this machine with the login it has when it is new.
    pub fn local(port: u16) -> Self {
        Self {
            host: "127.0.0.1".into(),
            port,
            vhost: "/".into(),
            username: "guest".into(),
            password: "guest".into(),
            tls: None,
            prefix: "aftercommit".into(),
            ordered_topics: Vec::new(),
            partitions: 4,
            max_length: None,
            declare: true,
            publish_events: false,
            heartbeat: Duration::from_secs(4),
            connect_timeout: Duration::from_secs(5),
            confirm_timeout: Duration::from_secs(9),
            name: "aftercommit".into(),
        }
    }
}

impl fmt::Debug for AmqpOptions {
    /// Without login and TLS.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpOptions")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("vhost", &self.vhost)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Time, randomness and limits.
#[derive(Clone)]
pub struct AmqpServices {
    /// The clock that delays are counted by.
    pub clock: Arc<dyn Clock>,
    /// For backoff, so that those who lost the broker together do not come back together.
    pub randomness: Arc<dyn Randomness>,
    /// The limits of envelopes.
    pub limits: Limits,
}

/// What the queue keeps in a database.
#[derive(Clone)]
pub struct AmqpStores {
    /// Tasks that need a memory.
    pub held: Arc<dyn HeldTasks>,
    /// Where those are taken from.
    pub consumer: Arc<dyn QueueConsumer>,
    /// Where tasks go that the broker cannot carry: ordered ones of topics without partitions, long waits.
    pub publisher: Arc<dyn QueuePublisher>,
    /// What keeps them tidy.
    pub maintenance: Arc<dyn QueueMaintenance>,
    /// Looks at them, and at what ended.
    pub inspector: Arc<dyn TaskInspector>,
    /// Where endings are recorded.
    pub history: Arc<dyn TaskHistory>,
    /// Where dead tasks go.
    pub dead_letters: Arc<dyn DeadLetters>,
}
