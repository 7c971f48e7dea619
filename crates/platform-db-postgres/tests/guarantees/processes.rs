//! Other processes on the database of a test, as far as the database can tell.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aftercommit_platform_db_postgres::{PostgresDatabase, PostgresOptions};
use aftercommit_testkit::test_services;
use sqlx::{Connection as _, PgConnection};

use crate::rig::{Rig, ports};

/// What must happen happens within this.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Opens the database once more.
pub(crate) async fn another_process(options: PostgresOptions) -> PostgresDatabase {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let database = PostgresDatabase::open(options, ports(&test_services())).await.unwrap();
    // The randomness of tests is the same for all; tokens of two processes must not be.
    for _ in 0..NUMBER.fetch_add(1, Ordering::SeqCst) * 10_000 {
        database.next_token();
    }
    database
}

/// Counts on a connection of its own, past every pool and proxy.
pub(crate) async fn count(rig: &Rig, sql: &'static str) -> i64 {
    let mut connection = PgConnection::connect(&rig.store.url()).await.unwrap();
    let counted = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    counted
}
