//! PostgreSQL, for applications that keep their own tables in the same database.

use std::sync::Arc;

use aftercommit_domain::contract::EnvelopeFactory;
use aftercommit_domain::failure::{Classified as _, ErrorClass};
use aftercommit_platform_config::{PostgresSettings, Settings, Successes};
pub use aftercommit_platform_db_postgres::*;
use aftercommit_platform_queue_postgres::{PostgresQueue, PostgresQueueOptions};

use crate::providers::{Providers, Purpose, Store, System};
use crate::startup::StartupError;

/// The database, and the queue that is to be closed before it.
#[derive(Clone)]
pub(crate) struct OpenedPostgres {
    pub(crate) database: PostgresDatabase,
    pub(crate) queue: PostgresQueue,
}

impl OpenedPostgres {
    pub(crate) async fn close(&self) {
        for closed in [self.queue.close().await, self.database.close().await] {
            if let Err(error) = closed {
                tracing::warn!(%error, "the database was not closed cleanly; nothing committed is lost");
            }
        }
    }
}

pub(super) async fn open(
    postgres: &PostgresSettings,
    settings: &Settings,
    system: &System,
    envelopes: &EnvelopeFactory,
    purpose: Purpose,
) -> Result<Providers, StartupError> {
    let services = PostgresServices {
        clock: Arc::clone(&system.clock),
        ids: Arc::clone(&system.ids),
        randomness: Arc::clone(&system.randomness),
        limits: *envelopes.codec().limits(),
    };
    let mut options = options(postgres, settings);
    if purpose == Purpose::Operate {
        (options.migrate, options.is_operator) = (false, true);
    }
    let database = PostgresDatabase::open(options, services).await.map_err(startup_error)?;
    let queue_options = PostgresQueueOptions {
        max_lost_runs: settings.worker.max_lost_runs,
        runs_beside_another_queue: settings.amqp.is_some(),
        ..PostgresQueueOptions::default()
    };
    let queue = PostgresQueue::new(&database, queue_options);
    let shared = Arc::new(queue.clone());
    // Also with a broker, which gives its consumers what the database holds.
    let dead_letters = database.dead_letters(ReplayInto::Tasks(queue.look()));
    Ok(Providers {
        units_of_work: Arc::new(database.units_of_work(envelopes.clone())),
        outbox: Arc::new(database.outbox()),
        outbox_transfer: Some(shared.clone()),
        queue_publisher: shared.clone(),
        queue_consumer: shared.clone(),
        queue_maintenance: shared.clone(),
        cancellations: shared.clone(),
        pauses: shared.clone(),
        inspector: shared.clone(),
        lineage: shared,
        event_log: Arc::new(database.event_log()),
        inbox: Arc::new(database.inbox_maintenance()),
        dead_letters: Arc::new(dead_letters.clone()),
        dead_letter_operations: Arc::new(dead_letters),
        bulk_runs: Arc::new(database.bulk_runs()),
        schedules: Arc::new(database.schedules()),
        event_feed: None,
        broker: None,
        #[cfg(feature = "amqp")]
        amqp: None,
        store: Store::Postgres(OpenedPostgres { database, queue }),
    })
}

/// Whether it may pass by itself.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn startup_error(error: ConnectError) -> StartupError {
    match error.class() {
        ErrorClass::Outage | ErrorClass::Retryable | ErrorClass::RateLimited => {
            StartupError::Database(error.to_string())
        }
        ErrorClass::Permanent => StartupError::WrongDatabase(error.to_string()),
    }
}

/// How the settings open a database.
pub(crate) fn options(postgres: &PostgresSettings, settings: &Settings) -> PostgresOptions {
    let mut options = PostgresOptions::new(postgres.url.secret().clone());
    options.engine_url = postgres.engine_url.secret().clone();
    options.migrate_url = postgres.migrate_url.secret().clone();
    options.handler_connections = postgres.handler_connections;
    options.engine_connections = postgres.engine_connections;
    options.console_connections = postgres.console_connections;
    options.acquire_timeout = postgres.acquire_timeout;
    options.statement_timeout = postgres.statement_timeout;
    options.notify = postgres.notify;
    options.pgbouncer = postgres.pgbouncer;
    options.migrate = postgres.migrate_on_start;
    options.record_successes = match settings.history.successes {
        Successes::All => RecordSuccesses::All,
        Successes::Sampled => RecordSuccesses::Sampled,
        Successes::None => RecordSuccesses::None,
    };
    options
}
