//! Other processes on the database of a test, as far as the database can tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aftercommit_platform_db_postgres::{PostgresDatabase, PostgresOptions, PostgresServices};
use aftercommit_testkit::{SeededRandomness, test_services};
use sqlx::{Connection as _, PgConnection};

use crate::rig::{Rig, ports};

/// What must happen happens within this.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Opens the database once more.
pub(crate) async fn another_process(options: PostgresOptions) -> PostgresDatabase {
    static NUMBER: AtomicU64 = AtomicU64::new(1_000_000);
    // The randomness of tests is the same for all; what tells two processes apart must not be.
    let services = PostgresServices {
        randomness: Arc::new(SeededRandomness::new(NUMBER.fetch_add(1, Ordering::SeqCst))),
        ..ports(&test_services())
    };
    PostgresDatabase::open(options, services).await.unwrap()
}

/// Counts on a connection of its own, past every pool and proxy.
pub(crate) async fn count(rig: &Rig, sql: &'static str) -> i64 {
    let mut connection = PgConnection::connect(&rig.store.url()).await.unwrap();
    let counted = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    counted
}
