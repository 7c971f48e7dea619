//! Opening: every reason not to comes before the first change.

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::claims::Topics;
use crate::columns::micros;
use crate::connection::{ClaimConnection, WriterConnection, reader_options, writer_options};
use crate::database::Inner;
use crate::filesystem;
use crate::lock_file::LockFile;
use crate::migrations;
use crate::open_error::OpenError;
use crate::options::{SqliteOptions, SqliteServices};
use crate::outbox::OutboxLeases;
use crate::queue::insertion::Sequence;
use crate::queue::settlement::record_lost;
use crate::run_sheet::{LostRuns, RunSheet};
use crate::wake::Wake;
use crate::writer::{GroupWriter, Writer, WriterContext};

/// Older ones can corrupt a database that two connections write to and check-point at once.
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];

pub(super) async fn open(options: SqliteOptions, services: SqliteServices) -> Result<Inner, OpenError> {
    let place = options.path.clone();
    let prepared = tokio::task::spawn_blocking(move || {
        let (path, holds_something) = filesystem::prepare(&place)?;
        let (lock, was_clean) = LockFile::take(&path)?;
        let (sheet, lost) = RunSheet::open(&path).map_err(|source| OpenError::Inaccessible {
            path: path.clone(),
            source,
        })?;
        Ok::<_, OpenError>((path, holds_something && !was_clean, lock, sheet, lost))
    });
    let (path, has_to_check, lock, sheet, lost) = prepared.await.map_err(|error| OpenError::Store {
        operation: "prepare",
        path: options.path.clone(),
        reason: error.to_string(),
    })??;

    let connect = writer_options(&path, &options);
    let mut connection = connect.connect().await.map_err(|error| cannot("open", &path, &error))?;
    check_version(&mut connection, &path).await?;
    if has_to_check {
        check_file(&mut connection, &path).await?;
    }
    migrations::apply(&mut connection, &path).await?;
    recover(&mut connection, &lost, &options, &services, &path).await?;
    let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM aftercommit_tasks")
        .fetch_one(&mut connection)
        .await
        .map_err(|error| cannot("read", &path, &error))?;
    let sequence = Arc::new(Sequence::starting_at(newest.saturating_add(1)));
    // Only now: what the sheet said is in the database.
    sheet.clear().map_err(|source| OpenError::Inaccessible {
        path: path.clone(),
        source,
    })?;

    let readers = reader_pool(&path, &options);
    let claims = ClaimConnection::open(&path, &options)
        .await
        .map_err(|error| cannot("open", &path, &error))?;
    let connection = WriterConnection::new(connection, connect, &options)
        .await
        .map_err(|error| cannot("open", &path, &error))?;
    let connection = Arc::new(connection);
    let topics = Arc::new(Topics::new(first_token(&services)));
    let (sheet, relay, lock) = (Arc::new(sheet), Arc::new(Wake::default()), Arc::new(lock));
    let (writer, waiting) = Writer::new();
    let tracker = TaskTracker::new();
    let writer_closing = CancellationToken::new();
    let group_writer = GroupWriter {
        connection: Arc::clone(&connection),
        context: Arc::new(WriterContext {
            clock: Arc::clone(&services.clock),
            randomness: Arc::clone(&services.randomness),
            record_successes: options.record_successes,
            topics: Arc::clone(&topics),
            sheet: Arc::clone(&sheet),
            sequence: Arc::clone(&sequence),
        }),
        relay: Arc::clone(&relay),
        wal: wal_path(&path),
        wal_bytes: options.wal_bytes,
        waiting,
        closing: writer_closing.clone(),
        _lock: Arc::clone(&lock),
    };
    tracker.spawn(group_writer.run());
    Ok(Inner {
        path,
        options,
        services,
        connection,
        writer,
        readers,
        claims,
        topics,
        outbox_leases: Arc::new(OutboxLeases::default()),
        relay,
        sheet,
        sequence,
        tracker,
        closing: CancellationToken::new(),
        writer_closing,
        lock,
    })
}

fn reader_pool(path: &Path, options: &SqliteOptions) -> SqlitePool {
    SqlitePoolOptions::new()
        .min_connections(0)
        .max_connections(options.reader_connections.max(1))
        .acquire_timeout(options.acquire_timeout)
        // Each connection is a thread; one that is there is kept, and needs no test before use.
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(reader_options(path, options))
}

async fn check_version(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(connection)
        .await
        .map_err(|error| cannot("read", path, &error))?;
    if is_recent(&found) {
        Ok(())
    } else {
        Err(OpenError::OldSqlite { found })
    }
}

fn is_recent(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    let mut next = || parts.next().and_then(Result::ok);
    match (next(), next()) {
        (Some(major), Some(minor)) => [major, minor, next().unwrap_or(0)] >= OLDEST_SQLITE,
        _ => false,
    }
}

/// After an unclean stop. Reads the whole file, and is over in less than a second for one of a few hundred megabytes.
async fn check_file(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    tracing::info!(path = %path.display(), "the last process did not stop cleanly; checking the database");
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(connection)
        .await
        .map_err(|error| cannot("check", path, &error))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(OpenError::Corrupt {
            path: path.to_owned(),
            reason: found,
        })
    }
}

/// Counts the runs that the last process lost; everything else it had claimed is free already.
async fn recover(
    connection: &mut SqliteConnection,
    lost: &LostRuns,
    options: &SqliteOptions,
    services: &SqliteServices,
    path: &Path,
) -> Result<(), OpenError> {
    let LostRuns { seqs, were_alone } = lost;
    if seqs.is_empty() {
        return Ok(());
    }
    tracing::info!(
        tasks = seqs.len(),
        "the last process ended while it ran tasks; they are run again"
    );
    let now = micros(services.clock.now());
    let recorded = async {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        record_lost(&mut transaction, seqs, *were_alone, options.max_lost_runs, now).await?;
        transaction.commit().await
    };
    recorded.await.map_err(|error| cannot("recover", path, &error))
}

fn first_token(services: &SqliteServices) -> i64 {
    let mut bytes = [0; 8];
    services.randomness.fill(&mut bytes);
    // Far from both ends, so that counting up from it never overflows.
    i64::from_le_bytes(bytes) >> 1
}

fn wal_path(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn cannot(operation: &'static str, path: &Path, error: &sqlx::Error) -> OpenError {
    let code = match error {
        sqlx::Error::Database(database) => database.code(),
        _ => None,
    };
    match code.as_deref() {
        Some("26") => OpenError::NotADatabase { path: path.to_owned() },
        Some("11") => OpenError::Corrupt {
            path: path.to_owned(),
            reason: error.to_string(),
        },
        _ => OpenError::Store {
            operation,
            path: path.to_owned(),
            reason: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sqlite_with_the_known_corruption_bug_is_refused() {
        for old in ["3.51.2", "3.46.0", "3.7.0", "2.99.99", "", "x", "3"] {
            assert!(!is_recent(old), "{old}");
        }
        for recent in ["3.51.3", "3.51.10", "3.52", "3.52.0", "4.0.0"] {
            assert!(is_recent(recent), "{recent}");
        }
    }
}
