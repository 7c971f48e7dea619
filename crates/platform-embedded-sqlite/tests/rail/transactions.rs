//! Transactions of the application: one at a time, in turns, and none is ever left open.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use aftercommit_domain::tasks::Outcome;
use aftercommit_domain::unit_of_work::{CommitError, StoreError};
use aftercommit_platform_embedded_sqlite::{SqliteDatabase, SqliteOptions};

use crate::rig::{Rig, SOON, consume, next, publish, soon};

/// Polls `future` up to `polls` times, with time for others to go on in between, and then drops it. Answers its value
/// if it came.
async fn polled<T>(future: impl Future<Output = T>, polls: u32) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        tokio::task::yield_now().await;
    }
    None
}

async fn with_notes(rig: &Rig) -> SqliteDatabase {
    let database = rig.open().await;
    let mut transaction = database.begin().await.unwrap();
    sqlx::query("CREATE TABLE notes (note TEXT NOT NULL) STRICT")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    database
}

async fn note(database: &SqliteDatabase, note: &str) -> Result<(), StoreError> {
    let mut transaction = database.begin().await?;
    sqlx::query("INSERT INTO notes (note) VALUES (?1)")
        .bind(note)
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    Ok(())
}

async fn notes(database: &SqliteDatabase) -> Vec<String> {
    sqlx::query_scalar("SELECT note FROM notes ORDER BY rowid")
        .fetch_all(database.reader())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_begin_cancelled_at_any_point_leaves_no_transaction_open() {
    let rig = Rig::new();
    let database = with_notes(&rig).await;
    let (mut polls, deadline) = (0, Instant::now() + SOON);
    while polled(database.begin(), polls).await.is_none() {
        soon(note(&database, "after a cancelled begin")).await.unwrap();
        polls += 1;
        assert!(Instant::now() < deadline, "a begin ends after some polls");
    }
    assert_eq!(notes(&database).await.len(), usize::try_from(polls).unwrap());
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_cancelled_at_any_point_changes_all_or_nothing_and_leaves_no_transaction_open() {
    let rig = Rig::new();
    let database = with_notes(&rig).await;
    let deadline = Instant::now() + SOON;
    for polls in 0.. {
        let mut transaction = database.begin().await.unwrap();
        for _ in 0..2 {
            sqlx::query("INSERT INTO notes (note) VALUES ('both or none')")
                .execute(&mut *transaction)
                .await
                .unwrap();
        }
        let committed = polled(transaction.commit(), polls).await;
        soon(note(&database, "after it")).await.unwrap();
        let left = notes(&database)
            .await
            .iter()
            .filter(|note| *note == "both or none")
            .count();
        assert!(left.is_multiple_of(2), "{left} of two");
        if let Some(committed) = committed {
            committed.unwrap();
            break;
        }
        assert!(Instant::now() < deadline, "a commit ends after some polls");
    }
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_changes_nothing() {
    let rig = Rig::new();
    let database = with_notes(&rig).await;
    let mut transaction = database.begin().await.unwrap();
    sqlx::query("INSERT INTO notes (note) VALUES ('never')")
        .execute(&mut *transaction)
        .await
        .unwrap();
    drop(transaction);
    note(&database, "kept").await.unwrap();
    assert_eq!(notes(&database).await, ["kept"]);
    database.close().await.unwrap();
}

/// A write that would go on for hours.
const ENDLESS: &str = "INSERT INTO notes (note) \
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT 'endless' FROM n WHERE i < 0";

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_nobody_waits_for_any_more_gives_the_connection_back_at_once() {
    let rig = Rig::new();
    let database = with_notes(&rig).await;
    for _ in 0..3 {
        let mut transaction = database.begin().await.unwrap();
        assert!(
            polled(sqlx::query(ENDLESS).execute(&mut *transaction), 5)
                .await
                .is_none()
        );
        drop(transaction);
        soon(note(&database, "after it")).await.unwrap();
        publish(&database, rig.messages().tasks(1)).await;
    }
    assert_eq!(notes(&database).await, ["after it"; 3]);
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_ended_after_the_operation_timeout_and_the_error_says_so() {
    let rig = Rig::new();
    let database = rig
        .open_with(SqliteOptions {
            operation_timeout: Duration::from_millis(200),
            ..rig.options()
        })
        .await
        .unwrap();
    let mut transaction = database.begin().await.unwrap();
    let counted = sqlx::query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
        .fetch_one(&mut *transaction);
    let error = soon(counted).await.unwrap_err();
    assert!(error.to_string().contains("interrupted"), "{error}");
    // The transaction is over, whatever was in it.
    drop(transaction);
    soon(database.begin()).await.unwrap().commit().await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_full_disk_the_next_transaction_works() {
    let rig = Rig::new();
    let database = with_notes(&rig).await;
    let mut transaction = database.begin().await.unwrap();
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + 2));
    sqlx::query(limit).execute(&mut *transaction).await.unwrap();
    let mut full = None;
    for _ in 0..100 {
        let written = sqlx::query("INSERT INTO notes (note) VALUES (hex(zeroblob(4000)))")
            .execute(&mut *transaction)
            .await;
        if let Err(error) = written {
            full = Some(error.to_string());
            break;
        }
    }
    assert!(full.unwrap().contains("full"));
    // SQLite may have rolled back on its own, and then there is nothing left to commit.
    drop(transaction.commit().await);
    let mut transaction = soon(database.begin()).await.unwrap();
    sqlx::query("PRAGMA max_page_count = 1000000")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    soon(note(&database, "after the disk was full")).await.unwrap();
    publish(&database, rig.messages().tasks(2)).await;
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_breaks_a_rule_is_refused_and_changes_nothing() {
    let rig = Rig::new();
    let database = with_notes(&rig).await;
    let mut transaction = database.begin().await.unwrap();
    for sql in [
        "CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT",
        "CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED) STRICT",
        "INSERT INTO children (parent) VALUES (1)",
    ] {
        sqlx::query(sql).execute(&mut *transaction).await.unwrap();
    }
    let refused = transaction.commit().await;
    assert!(matches!(refused, Err(CommitError::Refused { .. })), "{refused:?}");
    soon(note(&database, "after it")).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gets_no_turn_in_time_is_told_that_the_store_is_unavailable() {
    let rig = Rig::new();
    let options = SqliteOptions {
        acquire_timeout: Duration::from_millis(50),
        ..rig.options()
    };
    let database = rig.open_with(options).await.unwrap();
    let first = database.begin().await.unwrap();
    let second = database.begin().await;
    assert!(matches!(second, Err(StoreError::Unavailable { .. })), "{second:?}");
    first.commit().await.unwrap();
    database.begin().await.unwrap().rollback().await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_writes_waits_for_an_open_transaction_and_is_written_after_it() {
    let rig = Rig::new();
    let database = with_notes(&rig).await;
    publish(&database, rig.messages().tasks(1)).await;
    let mut deliveries = consume(&database, 1).await;
    let delivery = next(&mut deliveries).await;
    let transaction = database.begin().await.unwrap();
    let mut ack = pin!(delivery.ack(&Outcome::Completed));
    assert!(
        polled(&mut ack, 100).await.is_none(),
        "an acknowledgement is durable or not given"
    );
    transaction.commit().await.unwrap();
    soon(ack).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reader_cannot_write() {
    let rig = Rig::new();
    let database = with_notes(&rig).await;
    let refused = sqlx::query("INSERT INTO notes (note) VALUES ('no')")
        .execute(database.reader())
        .await;
    assert!(refused.unwrap_err().to_string().contains("readonly"));
    database.close().await.unwrap();
}
