//! The write-ahead log stays short.

use std::fs;

use aftercommit_platform_embedded_sqlite::{SqliteDatabase, SqliteOptions};

use crate::rig::{Rig, publish};

const LONGEST: u64 = 512 * 1024;

/// More than a log of the longest length, in small transactions.
async fn write_much(rig: &Rig, database: &SqliteDatabase) {
    for _ in 0..200 {
        publish(database, rig.messages().tasks(5)).await;
    }
}

fn log_length(rig: &Rig) -> u64 {
    fs::metadata(rig.directory().join("rail.db-wal")).map_or(0, |log| log.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_cut_while_it_is_written_and_after_a_long_reader_has_gone() {
    let rig = Rig::new();
    let options = SqliteOptions {
        wal_bytes: LONGEST,
        ..rig.options()
    };
    let database = rig.open_with(options).await.unwrap();
    write_much(&rig, &database).await;
    // Between two looks at its length it may grow by what is written meanwhile.
    assert!(log_length(&rig) < 6 * LONGEST, "{}", log_length(&rig));

    let mut reader = database.reader().begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM aftercommit_tasks")
        .execute(&mut *reader)
        .await
        .unwrap();
    write_much(&rig, &database).await;
    let with_reader = log_length(&rig);
    assert!(
        with_reader > LONGEST,
        "a reader of an old state keeps the log: {with_reader}"
    );
    reader.rollback().await.unwrap();
    write_much(&rig, &database).await;
    assert!(log_length(&rig) < 6 * LONGEST, "{}", log_length(&rig));
    database.close().await.unwrap();
}
