//! The whole configuration of a process.

use crate::{
    AdminSettings, AmqpServer, AmqpSettings, ConfigErrors, DataDir, Database, EffectiveValue, HistorySettings,
    LogSettings, MailSettings, ReferenceSettings, RelaySettings, Rendering, SealingSettings, ShutdownSettings,
    SqliteSettings, Storage, TemporalSettings, TopicsSettings, WebhookSettings, WorkerSettings, database::DatabaseUrl,
    effective, http, layers::Layers, reading::Reading,
};
use std::{net::SocketAddr, path::Path};

/// The configuration of a process, complete and checked.
///
/// `Debug` leaves secrets out.
#[derive(Debug)]
pub struct Settings {
    /// The database, with its own settings where it is a server. Defaults to a SQLite file in the data directory.
    pub database: Database,
    /// The RabbitMQ server that carries tasks. Unset by default: the queue is in the database.
    pub amqp: Option<AmqpSettings>,
    /// The Temporal server that runs workflows. Unset by default: what is to be started waits.
    pub temporal: Option<TemporalSettings>,
    /// Outgoing e-mail.
    pub mail: MailSettings,
    /// Where objects are kept. Defaults to a folder in the data directory.
    pub storage: Storage,
    /// Outgoing webhooks.
    pub webhooks: WebhookSettings,
    /// The address of the HTTP server. Defaults to 127.0.0.1:9090.
    pub http_addr: SocketAddr,
    /// Where people reach the product; unset by default: `http://` and `http_addr`.
    pub public_url: Option<String>,
    /// The data directory.
    pub data_dir: DataDir,
    /// The relay.
    pub relay: RelaySettings,
    /// The workers.
    pub worker: WorkerSettings,
    /// What single topics do differently.
    pub topics: TopicsSettings,
    /// The orderly stop.
    pub shutdown: ShutdownSettings,
    /// What is kept of finished work.
    pub history: HistorySettings,
    /// The reference product.
    pub reference: ReferenceSettings,
    /// The keys of sealed values.
    pub sealing: SealingSettings,
    /// The log.
    pub log: LogSettings,
    /// The operator's interface.
    pub admin: AdminSettings,
    /// The embedded database.
    pub sqlite: SqliteSettings,
    /// What works but should be changed, one line each, to be logged once the log is set up.
    pub warnings: Vec<String>,
    /// What is to happen at which point: `AFTERCOMMIT_FAILPOINTS`.
    #[cfg(feature = "failpoints")]
    pub failpoints: Option<String>,
    effective: Vec<EffectiveValue>,
}

impl Settings {
    /// Reads the given environment and the text of a file, without touching the process or the disk.
    ///
    /// The path only names the file in messages.
    ///
    /// # Errors
    /// Every problem of both, one line each: unknown keys first, then values in the order of the reference.
    pub fn from_sources(
        environment: impl IntoIterator<Item = (String, String)>,
        file: Option<(&Path, &str)>,
    ) -> Result<Self, ConfigErrors> {
        let (layers, problems) = Layers::new(environment, file);
        let mut reading = Reading::new(&layers, problems);
        // The data directory comes first because it moves defaults of others.
        let data_dir = DataDir::read(&mut reading);
        let database_url = DatabaseUrl::read(&mut reading);
        let amqp_server = AmqpServer::read(&mut reading, database_url.as_ref());
        let mut settings = Self {
            temporal: TemporalSettings::read(&mut reading),
            mail: MailSettings::read(&mut reading, &data_dir),
            storage: Storage::read(&mut reading, &data_dir),
            webhooks: WebhookSettings::read(&mut reading),
            http_addr: http::read(&mut reading),
            public_url: http::read_public_url(&mut reading),
            relay: RelaySettings::read(&mut reading),
            worker: WorkerSettings::read(&mut reading),
            topics: TopicsSettings::read(&mut reading),
            shutdown: ShutdownSettings::read(&mut reading),
            history: HistorySettings::read(&mut reading),
            reference: ReferenceSettings::read(&mut reading),
            sealing: SealingSettings::read(&mut reading, &data_dir, amqp_server.is_some()),
            log: LogSettings::read(&mut reading),
            admin: AdminSettings::read(&mut reading),
            sqlite: SqliteSettings::read(&mut reading),
            database: Database::read(&mut reading, database_url, &data_dir),
            amqp: AmqpSettings::read(&mut reading, amqp_server),
            data_dir,
            warnings: Vec::new(),
            #[cfg(feature = "failpoints")]
            failpoints: None,
            effective: Vec::new(),
        };
        settings.warnings.extend(settings.database.warnings());
        settings
            .warnings
            .extend(settings.amqp.as_ref().and_then(AmqpSettings::warning));
        settings
            .warnings
            .extend(settings.temporal.as_ref().and_then(TemporalSettings::warning));
        settings.warnings.extend(settings.mail.warning());
        settings.warnings.extend(settings.storage.warning());
        settings.warnings.extend(settings.webhooks.warning());
        settings.effective = reading.finish()?;
        Ok(settings)
    }

    /// The value that holds for each key, and where it was given. Secrets are left out.
    pub fn effective_values(&self) -> &[EffectiveValue] {
        &self.effective
    }

    /// The same as a report, for `aftercommit config check`.
    pub fn describe(&self, rendering: Rendering) -> String {
        effective::render(&self.effective, rendering)
    }
}
