//! The database: opening and closing it, and what it offers.

mod open;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::EnvelopeFactory;
use aftercommit_domain::unit_of_work::StoreError;
use sqlx::SqlitePool;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bulk_runs::SqliteBulkRuns;
use crate::claims::Topics;
use crate::connection::{ClaimConnection, WriterConnection};
use crate::dead_letters::SqliteDeadLetters;
use crate::event_log::SqliteEventLog;
use crate::inbox::SqliteInboxMaintenance;
use crate::lock_file::LockFile;
use crate::open_error::OpenError;
use crate::options::{SqliteOptions, SqliteServices};
use crate::outbox::{OutboxLeases, SqliteOutbox};
use crate::queue::SqliteQueue;
use crate::queue::insertion::Sequence;
use crate::run_sheet::RunSheet;
use crate::schedules::SqliteSchedules;
use crate::transaction::SqliteTransaction;
use crate::unit_of_work::SqliteUnitOfWorkFactory;
use crate::wake::Wake;
use crate::writer::Writer;

/// The longest closing waits for connections that others still use.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// The most rows of one list.
pub(crate) const LIST_CAP: u32 = 1000;
/// The rows of a list when nothing was said.
pub(crate) const LIST_DEFAULT: u32 = 50;

/// An open database. Clones share it.
///
/// [`close`](Self::close) it at the end of the process. When it is not closed, nothing is lost: the next start frees
/// what was being worked on and checks the file.
#[derive(Clone)]
pub struct SqliteDatabase {
    inner: Arc<Inner>,
}

/// What the parts of an open database share.
pub(crate) struct Inner {
    pub(crate) path: PathBuf,
    pub(crate) options: SqliteOptions,
    pub(crate) services: SqliteServices,
    pub(crate) connection: Arc<WriterConnection>,
    pub(crate) writer: Writer,
    pub(crate) readers: SqlitePool,
    /// Kept for claims, so that nobody else's reading delays them.
    pub(crate) claims: ClaimConnection,
    pub(crate) topics: Arc<Topics>,
    pub(crate) outbox_leases: Arc<OutboxLeases>,
    pub(crate) relay: Arc<Wake>,
    pub(crate) sheet: Arc<RunSheet>,
    pub(crate) sequence: Arc<Sequence>,
    pub(crate) tracker: TaskTracker,
    /// Ends the consumers.
    pub(crate) closing: CancellationToken,
    /// Ends the writer, once what waits is written.
    pub(crate) writer_closing: CancellationToken,
    /// Released last; the writer has it, too, so that it outlives the last write.
    pub(crate) lock: Arc<LockFile>,
}

impl SqliteDatabase {
    /// Opens the file, makes it when it is not there, brings its tables to this version, and frees what a process that
    /// died was working on. `Ok` means this process is the only one that has it open.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong, where, and what to do; nothing was changed.
    pub async fn open(options: SqliteOptions, services: SqliteServices) -> Result<Self, OpenError> {
        let inner = open::open(options, services).await?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Ends the consumers, writes what waits, and closes the file, so that the next start has nothing to check. What
    /// comes afterwards is refused as unavailable. Closing twice is closing once.
    ///
    /// # Errors
    /// When a transaction is still open after the acquire timeout, a reading connection is in use for 5 s, or the disk fails: everything answered with `Ok` is
    /// durable all the same, and the next start checks the file.
    pub async fn close(&self) -> Result<(), StoreError> {
        let inner = &self.inner;
        inner.closing.cancel();
        inner.writer_closing.cancel();
        inner.tracker.close();
        let rest = async {
            inner.tracker.wait().await;
            inner.readers.close().await;
            inner.claims.close().await;
        };
        // Someone may hold a reading connection for ever; the process must be able to end all the same.
        timeout(CLOSE_LIMIT, rest).await.map_err(|_| StoreError::Unavailable {
            operation: "close",
            reason: format!("connections are still in use after {CLOSE_LIMIT:?}"),
        })?;
        if inner.connection.close(inner.options.acquire_timeout).await? {
            inner.lock.release().map_err(|error| StoreError::Unavailable {
                operation: "close",
                reason: error.to_string(),
            })?;
        }
        Ok(())
    }

    /// The queue: publishing, consuming, keeping tidy, looking at tasks.
    pub fn queue(&self) -> SqliteQueue {
        SqliteQueue {
            database: Arc::clone(&self.inner),
        }
    }

    /// The outbox, as its relay sees it.
    pub fn outbox(&self) -> SqliteOutbox {
        SqliteOutbox {
            database: Arc::clone(&self.inner),
        }
    }

    /// The event log.
    pub fn event_log(&self) -> SqliteEventLog {
        SqliteEventLog {
            database: Arc::clone(&self.inner),
        }
    }

    /// What operators ordered for many.
    pub fn bulk_runs(&self) -> SqliteBulkRuns {
        SqliteBulkRuns {
            database: Arc::clone(&self.inner),
        }
    }

    /// The schedules.
    pub fn schedules(&self) -> SqliteSchedules {
        SqliteSchedules {
            database: Arc::clone(&self.inner),
        }
    }

    /// What forgets old claims of the inbox.
    pub fn inbox_maintenance(&self) -> SqliteInboxMaintenance {
        SqliteInboxMaintenance {
            database: Arc::clone(&self.inner),
        }
    }

    /// The dead letters.
    pub fn dead_letters(&self) -> SqliteDeadLetters {
        SqliteDeadLetters {
            database: Arc::clone(&self.inner),
        }
    }

    /// Begins units of work.
    pub fn units_of_work(&self, envelopes: EnvelopeFactory) -> SqliteUnitOfWorkFactory {
        SqliteUnitOfWorkFactory {
            database: Arc::clone(&self.inner),
            envelopes,
        }
    }

    /// Begins a transaction of the application's own. Only one transaction writes at a time, in fair turns, so it should
    /// be short. Cancelling the call leaves no transaction open.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no turn came within the acquire timeout.
    pub async fn begin(&self) -> Result<SqliteTransaction, StoreError> {
        self.inner.begin().await
    }

    /// For reading only; a write through it fails. A read transaction left open keeps the write-ahead log from being cut.
    pub fn reader(&self) -> &SqlitePool {
        &self.inner.readers
    }

    /// Looks at once at everything that waits for its time. For a clock that was set: timers do not follow it, though a
    /// waiting consumer reads the clock each second.
    pub fn clock_changed(&self) {
        self.inner.topics.wake_all();
        self.inner.relay.bump();
    }

    #[cfg(test)]
    pub(crate) fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    /// The file.
    pub fn path(&self) -> &std::path::Path {
        &self.inner.path
    }
}

impl Inner {
    pub(crate) async fn begin(&self) -> Result<SqliteTransaction, StoreError> {
        SqliteTransaction::begin(
            &self.connection,
            &self.relay,
            &self.topics,
            self.options.acquire_timeout,
        )
        .await
    }

    /// Reads within the operation timeout.
    pub(crate) async fn bounded<T>(
        &self,
        read: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        timeout(self.options.operation_timeout, read)
            .await
            .unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}

impl fmt::Debug for SqliteDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteDatabase")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}
