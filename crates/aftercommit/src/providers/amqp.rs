//! RabbitMQ, for the queue of an application whose database is PostgreSQL.

use std::sync::Arc;

use aftercommit_domain::contract::{EnvelopeFactory, TopicName};
use aftercommit_domain::events::EventFeed;
use aftercommit_domain::tasks::BrokerError;
use aftercommit_platform_config::{AmqpSecurity, AmqpSettings, ConfigError, ConfigErrors};
pub use aftercommit_platform_queue_amqp::*;

use crate::postgres::ReplayInto;
use crate::providers::postgres::OpenedPostgres;
use crate::providers::{Providers, Store, System};
use crate::startup::StartupError;

/// Puts the queue of an opened database on the broker; the database keeps what a broker cannot.
pub(super) fn connect(
    settings: &AmqpSettings,
    system: &System,
    envelopes: &EnvelopeFactory,
    providers: Providers,
) -> Result<Providers, StartupError> {
    let OpenedPostgres { database, queue: held } = match &providers.store {
        Store::Postgres(opened) => opened.clone(),
        #[cfg(feature = "sqlite")]
        Store::Sqlite(_) => return Err(StartupError::OtherDatabase { wanted: "PostgreSQL" }),
    };
    let shared = Arc::new(held.clone());
    let stores = AmqpStores {
        held: shared.clone(),
        consumer: shared.clone(),
        publisher: shared.clone(),
        maintenance: shared.clone(),
        inspector: shared.clone(),
        history: shared,
        dead_letters: Arc::new(database.dead_letters(ReplayInto::Tasks(held.look()))),
    };
    let services = AmqpServices {
        clock: Arc::clone(&system.clock),
        randomness: Arc::clone(&system.randomness),
        limits: *envelopes.codec().limits(),
    };
    let queue = AmqpQueue::new(&options(settings)?, services, stores);
    let shared = Arc::new(queue.clone());
    Ok(Providers {
        outbox_transfer: None,
        queue_publisher: shared.clone(),
        queue_consumer: shared.clone(),
        queue_maintenance: shared.clone(),
        inspector: shared.clone(),
        event_feed: settings.publish_events.then(|| shared.clone() as Arc<dyn EventFeed>),
        broker: Some(shared),
        amqp: Some(queue),
        ..providers
    })
}

/// Connects and takes leave again.
pub(crate) async fn check_connection(settings: &AmqpSettings) -> Result<(), BrokerError> {
    let options = options(settings).map_err(|error| BrokerError::Refused {
        operation: "connect",
        reason: error.to_string(),
    })?;
    aftercommit_platform_queue_amqp::try_to_connect(&options).await
}

fn options(settings: &AmqpSettings) -> Result<AmqpOptions, StartupError> {
    let pem = settings.certificates.load()?;
    let has_tls = match settings.server.security {
        AmqpSecurity::Tls => true,
        AmqpSecurity::PlainLoopback | AmqpSecurity::InsecurePlainText => false,
    };
    let ordered = settings.ordered_topics.iter().map(|name| topic(name));
    Ok(AmqpOptions {
        host: settings.server.host.clone(),
        port: settings.server.port,
        vhost: settings.server.vhost.clone(),
        username: settings.server.user.clone(),
        password: settings.server.password.clone(),
        tls: has_tls.then(|| AmqpTls {
            authorities: pem.ca,
            identity: pem.client.map(|client| (client.cert.into_bytes(), client.key)),
        }),
        prefix: settings.prefix.clone(),
        ordered_topics: ordered.collect::<Result<_, _>>()?,
        partitions: settings.partitions,
        max_length: (settings.max_length > 0).then_some(settings.max_length),
        declare: settings.declare,
        publish_events: settings.publish_events,
        heartbeat: settings.heartbeat,
        connect_timeout: settings.connect_timeout,
        confirm_timeout: settings.confirm_timeout,
        name: format!("aftercommit {}", std::process::id()),
    })
}

fn topic(name: &str) -> Result<TopicName, StartupError> {
    TopicName::new(name).map_err(|error| {
        let error = ConfigError::new("AFTERCOMMIT_AMQP__ORDERED_TOPICS", &error.to_string());
        ConfigErrors::from(error).into()
    })
}
