//! Which adapter serves which port: the one place of the library that names them, chosen by the URL's scheme.

#[cfg(feature = "amqp")]
pub mod amqp;
#[cfg(feature = "failpoints")]
pub(crate) mod failpoints;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "object-storage")]
pub(crate) mod storage;
#[cfg(feature = "webhooks")]
pub(crate) mod webhooks;

use std::collections::BTreeSet;
use std::sync::Arc;

use aftercommit_domain::bulk::BulkRuns;
use aftercommit_domain::contract::{Codec, EnvelopeFactory, Limits, Sealer, TopicName};
use aftercommit_domain::events::{EventFeed, EventLog, Outbox, OutboxTransfer};
use aftercommit_domain::failure::{Classified as _, ErrorClass};
use aftercommit_domain::ids::Ids;
use aftercommit_domain::lineage::Lineage;
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::{
    Broker, DeadLetterOperations, DeadLetters, InboxMaintenance, QueueConsumer, QueueMaintenance, QueuePublisher,
    Schedules, TaskCancellations, TaskInspector, TaskPauses,
};
use aftercommit_domain::time::Clock;
use aftercommit_domain::unit_of_work::UnitOfWorkFactory;
use aftercommit_platform_config::{Database, SealingKey, SealingSettings, Settings, read_sealing_keys};
use aftercommit_platform_sealer_aead::{AeadSealer, SealingKeys};
use aftercommit_runtime::system::{SystemClock, SystemRandomness, UuidV7Ids};
use secrecy::ExposeSecret;

#[cfg(any(feature = "reference", feature = "webhooks"))]
use aftercommit_domain::effects::WebhookNetwork;
#[cfg(feature = "reference")]
use aftercommit_domain::reference::{
    ProductPace, ProductSettings, ReferencePorts, ReferenceReader, ReferenceUnitOfWorkFactory,
};
#[cfg(feature = "smtp")]
use {
    aftercommit_domain::effects::EmailSender, aftercommit_platform_config::SmtpSecurity,
    aftercommit_platform_email_smtp as email,
};

use crate::startup::StartupError;

/// The machine's own ports.
#[derive(Clone)]
pub(crate) struct System {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) randomness: Arc<dyn Randomness>,
}

/// Every port of the kit, served.
#[derive(Clone)]
pub(crate) struct Providers {
    pub(crate) units_of_work: Arc<dyn UnitOfWorkFactory>,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) outbox_transfer: Option<Arc<dyn OutboxTransfer>>,
    pub(crate) queue_publisher: Arc<dyn QueuePublisher>,
    pub(crate) queue_consumer: Arc<dyn QueueConsumer>,
    pub(crate) queue_maintenance: Arc<dyn QueueMaintenance>,
    pub(crate) event_log: Arc<dyn EventLog>,
    pub(crate) inbox: Arc<dyn InboxMaintenance>,
    pub(crate) event_feed: Option<Arc<dyn EventFeed>>,
    pub(crate) dead_letters: Arc<dyn DeadLetters>,
    pub(crate) dead_letter_operations: Arc<dyn DeadLetterOperations>,
    pub(crate) cancellations: Arc<dyn TaskCancellations>,
    pub(crate) pauses: Arc<dyn TaskPauses>,
    pub(crate) bulk_runs: Arc<dyn BulkRuns>,
    pub(crate) schedules: Arc<dyn Schedules>,
    pub(crate) inspector: Arc<dyn TaskInspector>,
    pub(crate) lineage: Arc<dyn Lineage>,
    /// The broker behind the queue, if it is on one.
    pub(crate) broker: Option<Arc<dyn Broker>>,
    #[cfg(feature = "amqp")]
    pub(crate) amqp: Option<amqp::AmqpQueue>,
    pub(crate) store: Store,
}

/// The opened database, for those who write their own tables in it.
#[derive(Clone)]
pub(crate) enum Store {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlite::SqliteDatabase),
    #[cfg(feature = "postgres")]
    Postgres(postgres::OpenedPostgres),
}

impl Providers {
    /// Whether no other process can have the database open.
    pub(crate) const fn is_alone(&self) -> bool {
        match self.store {
            #[cfg(feature = "sqlite")]
            Store::Sqlite(_) => true,
            #[cfg(feature = "postgres")]
            Store::Postgres(_) => false,
        }
    }

    /// Closes the queue and the database; after the loops have stopped.
    pub(crate) async fn close(&self) {
        #[cfg(feature = "amqp")]
        if let Some(queue) = &self.amqp {
            queue.close().await;
        }
        match self.store {
            #[cfg(feature = "sqlite")]
            Store::Sqlite(ref database) => {
                if let Err(error) = database.close().await {
                    tracing::warn!(%error, "the database was not closed cleanly; nothing committed is lost");
                }
            }
            #[cfg(feature = "postgres")]
            Store::Postgres(ref opened) => opened.close().await,
        }
    }
}

impl System {
    pub(crate) fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
        let ids = Arc::new(UuidV7Ids::new(Arc::clone(&clock), Arc::clone(&randomness)));
        Self { clock, ids, randomness }
    }
}

/// Makes envelopes, sealing with the configured keys; without any, with one made in the data directory.
pub(crate) fn envelopes(
    settings: &Settings,
    system: &System,
    source: Arc<str>,
) -> Result<EnvelopeFactory, StartupError> {
    let keys = match &settings.sealing {
        SealingSettings::Keys(keys) => sealing_keys(keys)?,
        SealingSettings::File(path) => sealing_keys(&read_sealing_keys(path)?)?,
        SealingSettings::OwnFile(path) => SealingKeys::load_or_create(path, &*system.randomness)
            .map_err(|error| StartupError::Sealing(error.to_string()))?,
    };
    let sealer: Arc<dyn Sealer> = Arc::new(AeadSealer::new(keys, Arc::clone(&system.randomness)));
    let codec = Codec::new(sealer, Limits::default());
    Ok(EnvelopeFactory::new(
        codec,
        Arc::clone(&system.ids),
        Arc::clone(&system.clock),
        source,
    ))
}

fn sealing_keys(keys: &[SealingKey]) -> Result<SealingKeys, StartupError> {
    SealingKeys::new(keys.iter().map(|key| (key.id.clone(), *key.key.expose_secret())))
        .map_err(|error| StartupError::Sealing(error.to_string()))
}

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To run the application.
    Run,
    /// To look and to order, perhaps in the database of another application.
    Operate,
}

/// Opens the database the settings name and serves every port from it.
pub(crate) async fn open(
    settings: &Settings,
    system: &System,
    envelopes: &EnvelopeFactory,
    purpose: Purpose,
) -> Result<Providers, StartupError> {
    #[cfg(not(feature = "amqp"))]
    if settings.amqp.is_some() {
        return Err(StartupError::NotBuiltIn {
            provider: "RabbitMQ".into(),
        });
    }
    let opened = open_database(settings, system, envelopes, purpose).await?;
    #[cfg(feature = "amqp")]
    if let Some(amqp) = &settings.amqp {
        let store = opened.clone();
        return match amqp::connect(amqp, system, envelopes, opened) {
            Ok(providers) => Ok(providers),
            Err(error) => {
                store.close().await;
                Err(error)
            }
        };
    }
    Ok(opened)
}

async fn open_database(
    settings: &Settings,
    system: &System,
    envelopes: &EnvelopeFactory,
    #[cfg_attr(
        not(feature = "postgres"),
        expect(unused_variables, reason = "the embedded database is one application's own")
    )]
    purpose: Purpose,
) -> Result<Providers, StartupError> {
    match &settings.database {
        #[cfg(feature = "sqlite")]
        Database::Sqlite(path) => sqlite::open(path, settings, system, envelopes).await,
        #[cfg(feature = "postgres")]
        Database::Postgres(postgres) => postgres::open(postgres, settings, system, envelopes, purpose).await,
        other => Err(StartupError::NotBuiltIn {
            provider: match other {
                Database::Sqlite(_) => "SQLite".into(),
                Database::Postgres(_) => "PostgreSQL".into(),
                // The debug text of settings leaves secrets out.
                unknown => format!("{unknown:?}"),
            },
        }),
    }
}

/// Declares what these topics need. A broker that is away is no reason not to start: what must wait for it waits.
pub(crate) async fn declare(broker: &dyn Broker, topics: &BTreeSet<TopicName>) -> Result<(), StartupError> {
    match broker.declare(topics).await {
        Ok(()) => Ok(()),
        Err(error) if error.class() == ErrorClass::Permanent => Err(StartupError::WrongBroker(error.to_string())),
        Err(error) => {
            tracing::warn!(%error, "started without the broker; what needs it waits until it is there");
            Ok(())
        }
    }
}

/// What sends e-mail: the configured server, or files in the data directory.
#[cfg(feature = "smtp")]
pub(crate) fn email_sender(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Arc<dyn EmailSender>, StartupError> {
    let failed = |error: &dyn std::error::Error| StartupError::Email(error.to_string());
    let from = email::MailFrom::parse(&settings.mail.from).map_err(|error| failed(&error))?;
    let Some(server) = smtp_sender(settings, Arc::clone(&clock))? else {
        let files = email::FileEmailSender::open(&settings.mail.dir, from, clock).map_err(|error| failed(&error))?;
        return Ok(Arc::new(files));
    };
    Ok(Arc::new(server))
}

/// Talks to the configured e-mail server, without sending anything.
#[cfg(feature = "smtp")]
pub(crate) async fn check_email(settings: &Settings) -> Result<(), StartupError> {
    match smtp_sender(settings, Arc::new(SystemClock))? {
        Some(sender) => sender
            .check()
            .await
            .map_err(|error| StartupError::Email(error.to_string())),
        None => Ok(()),
    }
}

#[cfg(feature = "smtp")]
fn smtp_sender(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Option<email::SmtpEmailSender>, StartupError> {
    let failed = |error: &dyn std::error::Error| StartupError::Email(error.to_string());
    let from = email::MailFrom::parse(&settings.mail.from).map_err(|error| failed(&error))?;
    let Some(smtp) = &settings.mail.smtp else {
        return Ok(None);
    };
    let url = email::SmtpUrl {
        host: smtp.host.clone(),
        port: smtp.port,
        security: match smtp.security {
            SmtpSecurity::Tls => email::SmtpSecurity::Tls,
            SmtpSecurity::StartTls => email::SmtpSecurity::StartTls,
            SmtpSecurity::PlainLoopback | SmtpSecurity::InsecurePlainText => email::SmtpSecurity::PlainText,
        },
        credentials: smtp.credentials.as_ref().map(|credentials| email::SmtpCredentials {
            username: credentials.username.clone(),
            password: credentials.password.clone(),
        }),
    };
    let sender = email::SmtpEmailSender::new(url, from, clock).map_err(|error| failed(&error))?;
    Ok(Some(sender))
}

/// Where webhooks may be sent.
#[cfg(any(feature = "reference", feature = "webhooks"))]
fn webhook_network(settings: &Settings) -> WebhookNetwork {
    if settings.webhooks.allow_private_addresses {
        WebhookNetwork::Any
    } else {
        WebhookNetwork::Public
    }
}

/// The reference product's stores in the opened database.
#[cfg(feature = "reference")]
pub(crate) async fn reference_ports(kit: &crate::Kit) -> Result<ReferencePorts, StartupError> {
    let (units, reader): (Arc<dyn ReferenceUnitOfWorkFactory>, Arc<dyn ReferenceReader>) =
        match &kit.inner.providers.store {
            #[cfg(feature = "sqlite")]
            Store::Sqlite(database) => {
                let stores = sqlite::SqliteReference::open(database, kit.envelopes().clone())
                    .await
                    .map_err(|error| StartupError::Database(error.to_string()))?;
                (Arc::new(stores.clone()), Arc::new(stores))
            }
            #[cfg(feature = "postgres")]
            Store::Postgres(opened) => {
                let stores = postgres::PostgresReference::open(&opened.database, kit.envelopes().clone())
                    .await
                    .map_err(postgres::startup_error)?;
                (Arc::new(stores.clone()), Arc::new(stores))
            }
        };
    Ok(ReferencePorts {
        units,
        reader,
        sealer: Arc::clone(kit.envelopes().codec().sealer()),
        clock: kit.clock(),
        ids: kit.ids(),
        randomness: kit.randomness(),
        settings: Arc::new(ProductSettings {
            invitation_ttl: kit.settings().reference.invitation_ttl,
            sign_in_link_ttl: kit.settings().reference.sign_in_link_ttl,
            webhook_network: webhook_network(kit.settings()),
            included_records: kit.settings().reference.included_records,
            pace: product_pace(kit.settings()),
            ..ProductSettings::at(kit.public_url())
        }),
    })
}

/// What the reference product waits for, as it is configured.
#[cfg(feature = "reference")]
pub(crate) const fn product_pace(settings: &Settings) -> ProductPace {
    let reference = &settings.reference;
    ProductPace {
        record_quiet: reference.record_quiet,
        record_max_wait: reference.record_max_wait,
        search_refresh: reference.search_refresh,
        overage_report: reference.overage_report,
    }
}
