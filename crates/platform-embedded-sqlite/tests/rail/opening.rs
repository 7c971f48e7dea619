//! Which files are opened, and which are refused.

use std::fs;
use std::path::Path;

use aftercommit_platform_embedded_sqlite::{OpenError, SqliteDatabase, SqliteOptions, Synchronous};
use aftercommit_testkit::test_services;

use crate::rig::{Rig, child, publish, runtime, services};

#[test]
#[ignore = "a process of its own, started by a_second_process_is_refused_and_told_who_has_the_file"]
fn child_opens_the_file_another_process_has() {
    runtime().block_on(async {
        let options = SqliteOptions::new(Path::new("rail.db"));
        let refused = SqliteDatabase::open(options, services(&test_services())).await;
        println!("{}", refused.unwrap_err());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused_and_told_who_has_the_file() {
    let rig = Rig::new();
    let database = rig.open().await;
    let mut other = child("opening::child_opens_the_file_another_process_has", rig.directory());
    let said = String::from_utf8(other.output().unwrap().stdout).unwrap();
    let expected = format!("in use by another process (process {})", std::process::id());
    assert!(said.contains(&expected), "{said}");
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_opened_once_at_a_time_and_again_after_it_was_closed() {
    let rig = Rig::new();
    let database = rig.open().await;
    let second = rig.open_with(rig.options()).await;
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
    database.close().await.unwrap();
    database.close().await.unwrap();
    rig.open().await.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_leaves_one_file_that_can_be_copied() {
    let rig = Rig::new();
    let database = rig.open().await;
    publish(&database, rig.messages().tasks(3)).await;
    database.close().await.unwrap();
    let mut left: Vec<String> = fs::read_dir(rig.directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["rail.db", "rail.db.lock", "rail.db.runs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_closing_everything_is_refused_as_unavailable() {
    let rig = Rig::new();
    let database = rig.open().await;
    database.close().await.unwrap();
    assert!(database.begin().await.is_err());
    assert!(sqlx::query("SELECT 1").execute(database.reader()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_is_refused() {
    let rig = Rig::new();
    let directory = rig.open_with(SqliteOptions::new(rig.directory())).await;
    assert!(matches!(directory, Err(OpenError::Directory { .. })), "{directory:?}");
    fs::write(rig.path(), "a letter to a friend, not a database\n".repeat(500)).unwrap();
    let letter = rig.open_with(rig.options()).await;
    assert!(matches!(letter, Err(OpenError::NotADatabase { .. })), "{letter:?}");
    let file_as_directory = rig.open_with(SqliteOptions::new(rig.path().join("rail.db"))).await;
    assert!(
        matches!(file_as_directory, Err(OpenError::Inaccessible { .. })),
        "{file_as_directory:?}"
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_files_and_a_directory_made_for_them_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let rig = Rig::new();
    let directory = rig.directory().join("data");
    let database = rig
        .open_with(SqliteOptions::new(directory.join("rail.db")))
        .await
        .unwrap();
    publish(&database, rig.messages().tasks(1)).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    database.close().await.unwrap();
}

/// Changes the list of applied migrations.
async fn change_migrations(rig: &Rig, sql: &'static str) {
    let database = rig.open().await;
    let mut transaction = database.begin().await.unwrap();
    sqlx::query(sql).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_newer_version_are_refused() {
    let rig = Rig::new();
    change_migrations(
        &rig,
        "INSERT INTO _aftercommit_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'of tomorrow', true, x'00', 0)",
    )
    .await;
    let newer = rig.open_with(rig.options()).await;
    assert!(
        matches!(newer, Err(OpenError::NewerSchema { version: 9999, .. })),
        "{newer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_or_unfinished_migration_is_refused() {
    let rig = Rig::new();
    change_migrations(&rig, "UPDATE _aftercommit_migrations SET checksum = x'00'").await;
    let changed = rig.open_with(rig.options()).await;
    assert!(
        matches!(changed, Err(OpenError::ChangedMigration { version: 1, .. })),
        "{changed:?}"
    );

    let rig = Rig::new();
    change_migrations(&rig, "UPDATE _aftercommit_migrations SET success = false").await;
    let dirty = rig.open_with(rig.options()).await;
    assert!(
        matches!(dirty, Err(OpenError::DirtyMigration { version: 1, .. })),
        "{dirty:?}"
    );
}

#[test]
fn a_damaged_file_is_refused_after_an_unclean_stop() {
    let rig = Rig::new();
    rig.until_it_dies(async |database| {
        publish(&database, rig.messages().tasks(500)).await;
        // Everything into the file itself, so that there is something to damage.
        let mut transaction = database.begin().await.unwrap();
        sqlx::query("ROLLBACK").execute(&mut *transaction).await.unwrap();
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut *transaction)
            .await
            .unwrap();
    });
    let mut bytes = fs::read(rig.path()).unwrap();
    // The later half of the file, page by page, but not the list of tables at its beginning.
    let half = bytes.len() / 2;
    bytes[half..].fill(0x5a);
    fs::write(rig.path(), bytes).unwrap();
    let opened = runtime().block_on(rig.open_with(rig.options()));
    assert!(matches!(opened, Err(OpenError::Corrupt { .. })), "{opened:?}");
}

#[tokio::test]
async fn closing_ends_although_someone_keeps_a_reading_connection() {
    let rig = Rig::new();
    let database = rig.open().await;
    let kept = database.reader().acquire().await.unwrap();
    let closed = tokio::time::timeout(std::time::Duration::from_secs(20), database.close()).await;
    assert!(closed.expect("closing ends").is_err(), "and says that it was not clean");
    drop(kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_waits_for_the_disk_unless_it_is_told_otherwise() {
    for (told, level) in [(None, 2), (Some(Synchronous::Normal), 1)] {
        let rig = Rig::new();
        let mut options = rig.options();
        if let Some(told) = told {
            options.synchronous = told;
        }
        let database = rig.open_with(options).await.unwrap();
        let mut transaction = database.begin().await.unwrap();
        let found: i64 = sqlx::query_scalar("PRAGMA synchronous")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        assert_eq!(found, level, "2 is FULL: the log is flushed with every commit");
        drop(transaction);
        database.close().await.unwrap();
    }
}
