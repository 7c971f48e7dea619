//! The embedded database, for applications that keep their own tables in its file.

use std::path::Path;
use std::sync::Arc;

use aftercommit_domain::contract::EnvelopeFactory;
use aftercommit_platform_config::{self as config, Settings};
pub use aftercommit_platform_embedded_sqlite::*;

use crate::providers::{Providers, Store, System};
use crate::startup::StartupError;

pub(super) async fn open(
    path: &Path,
    settings: &Settings,
    system: &System,
    envelopes: &EnvelopeFactory,
) -> Result<Providers, StartupError> {
    let mut options = SqliteOptions::new(path);
    options.synchronous = match settings.sqlite.synchronous {
        config::Synchronous::Full => Synchronous::Full,
        config::Synchronous::Normal => Synchronous::Normal,
    };
    options.reader_connections = settings.sqlite.reader_connections;
    options.acquire_timeout = settings.sqlite.acquire_timeout;
    options.max_lost_runs = settings.worker.max_lost_runs;
    options.record_successes = match settings.history.successes {
        config::Successes::All => RecordSuccesses::All,
        config::Successes::Sampled => RecordSuccesses::Sampled,
        config::Successes::None => RecordSuccesses::None,
    };
    let services = SqliteServices {
        clock: Arc::clone(&system.clock),
        ids: Arc::clone(&system.ids),
        randomness: Arc::clone(&system.randomness),
        limits: *envelopes.codec().limits(),
    };
    let database = SqliteDatabase::open(options, services)
        .await
        .map_err(|error| StartupError::Database(error.to_string()))?;
    let queue = Arc::new(database.queue());
    Ok(Providers {
        units_of_work: Arc::new(database.units_of_work(envelopes.clone())),
        outbox: Arc::new(database.outbox()),
        outbox_transfer: None,
        queue_publisher: queue.clone(),
        queue_consumer: queue.clone(),
        queue_maintenance: queue.clone(),
        cancellations: queue.clone(),
        pauses: queue.clone(),
        inspector: queue.clone(),
        lineage: queue,
        event_log: Arc::new(database.event_log()),
        inbox: Arc::new(database.inbox_maintenance()),
        dead_letters: Arc::new(database.dead_letters()),
        dead_letter_operations: Arc::new(database.dead_letters()),
        bulk_runs: Arc::new(database.bulk_runs()),
        schedules: Arc::new(database.schedules()),
        event_feed: None,
        broker: None,
        #[cfg(feature = "amqp")]
        amqp: None,
        store: Store::Sqlite(database),
    })
}
