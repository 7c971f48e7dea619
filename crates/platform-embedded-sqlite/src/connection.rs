//! The connections: one that writes, handed out in turns, and how each kind is set up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aftercommit_domain::unit_of_work::StoreError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous, SqliteTransactionManager};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use sqlx_core::transaction::TransactionManager as _;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard};
use tokio::time::timeout;

use crate::columns::is_connection_lost;
use crate::interrupt::Interrupt;
use crate::options::{SqliteOptions, Synchronous};

/// The one connection that writes. Turns are fair: first come, first served.
#[derive(Debug)]
pub(crate) struct WriterConnection {
    connect: SqliteConnectOptions,
    slot: Arc<Mutex<Option<SqliteConnection>>>,
    interrupt: Arc<Interrupt>,
    pub(crate) operation_timeout: Duration,
}

/// A turn with the connection. Ends when it is dropped.
pub(crate) type WriterTurn = OwnedMappedMutexGuard<Option<SqliteConnection>, SqliteConnection>;

impl WriterConnection {
    pub(crate) async fn new(
        mut connection: SqliteConnection,
        connect: SqliteConnectOptions,
        options: &SqliteOptions,
    ) -> Result<Self, sqlx::Error> {
        let interrupt = Arc::new(Interrupt::default());
        interrupt.install(&mut connection).await?;
        Ok(Self {
            connect,
            slot: Arc::new(Mutex::new(Some(connection))),
            interrupt,
            operation_timeout: options.operation_timeout,
        })
    }

    /// Waits for a turn, for as long as `patience`.
    pub(crate) async fn turn(&self, patience: Duration) -> Result<WriterTurn, StoreError> {
        let guard = timeout(patience, Arc::clone(&self.slot).lock_owned())
            .await
            .map_err(|_| StoreError::Unavailable {
                operation: "begin",
                reason: format!("no turn to write came within {patience:?}; a transaction may be open for too long"),
            })?;
        OwnedMutexGuard::try_map(guard, Option::as_mut).map_err(|_| StoreError::Unavailable {
            operation: "begin",
            reason: "the database is closed".into(),
        })
    }

    /// Puts a new connection in the place of one that is of no use any more.
    pub(crate) async fn replace(&self, turn: &mut WriterTurn) -> Result<(), sqlx::Error> {
        tracing::warn!("the writing connection is opened anew");
        let mut connection = self.connect.connect().await?;
        self.interrupt.install(&mut connection).await?;
        **turn = connection;
        Ok(())
    }

    /// Rolls back what is open, without waiting. A statement that still runs is ended: nobody waits for it any more, and
    /// everyone else waits for the connection.
    pub(crate) fn abandon(&self, turn: &mut WriterTurn) {
        self.interrupt.raise();
        // Queued before the next turn begins, so nobody else ever sees this transaction.
        SqliteTransactionManager::start_rollback(turn);
    }

    /// Makes the connection usable after someone abandoned it.
    pub(crate) async fn recover(&self, turn: &mut WriterTurn) -> Result<(), sqlx::Error> {
        if !self.interrupt.is_raised() {
            return Ok(());
        }
        // Answered once the abandoned statement has ended and was rolled back; a rollback must not be interrupted.
        let alive = turn.ping().await;
        self.interrupt.lower();
        // SQLite rolls back by itself when it interrupts a write, and then sqlx still counts a transaction.
        if alive.is_err() || SqliteTransactionManager::get_transaction_depth(turn) > 0 {
            self.replace(turn).await?;
        }
        Ok(())
    }

    /// Statements are ended at this time; see [`Interrupt`].
    pub(crate) fn limit_statements(&self, limit: Duration) {
        self.interrupt.set_deadline(limit);
    }

    /// Closes it; later turns are refused. Answers whether it was open.
    pub(crate) async fn close(&self, patience: Duration) -> Result<bool, StoreError> {
        let mut guard = timeout(patience, Arc::clone(&self.slot).lock_owned())
            .await
            .map_err(|_| StoreError::Unavailable {
                operation: "close",
                reason: "a transaction is still open".into(),
            })?;
        let Some(mut connection) = guard.take() else {
            return Ok(false);
        };
        let closed = async {
            // Leaves one file behind, which can be copied as it is.
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .execute(&mut connection)
                .await?;
            connection.close().await
        };
        closed.await.map_err(|error| StoreError::Unavailable {
            operation: "close",
            reason: error.to_string(),
        })?;
        Ok(true)
    }
}

/// The connection kept for claims, so that nobody else's reading delays them.
#[derive(Debug)]
pub(crate) struct ClaimConnection {
    connect: SqliteConnectOptions,
    connection: Mutex<Option<SqliteConnection>>,
    is_lost: AtomicBool,
    operation_timeout: Duration,
}

impl ClaimConnection {
    pub(crate) async fn open(path: &Path, options: &SqliteOptions) -> Result<Self, sqlx::Error> {
        let connect = reader_options(path, options);
        Ok(Self {
            connection: Mutex::new(Some(connect.connect().await?)),
            connect,
            is_lost: AtomicBool::new(false),
            operation_timeout: options.operation_timeout,
        })
    }

    /// Waits for a turn; opens the connection anew when it was lost.
    pub(crate) async fn turn(&self) -> Result<MappedMutexGuard<'_, SqliteConnection>, sqlx::Error> {
        let mut connection = self.connection.lock().await;
        if connection.is_some() && self.is_lost.load(Ordering::SeqCst) {
            *connection = Some(self.connect.connect().await?);
            self.is_lost.store(false, Ordering::SeqCst);
        }
        MutexGuard::try_map(connection, Option::as_mut).map_err(|_| sqlx::Error::PoolClosed)
    }

    /// Closes it; later turns are refused.
    pub(crate) async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the connection for claims could not be closed");
        }
    }

    /// Reads within the operation timeout.
    pub(crate) async fn bounded<T>(
        &self,
        query: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let answer = timeout(self.operation_timeout, query)
            .await
            .unwrap_or(Err(sqlx::Error::PoolTimedOut));
        if answer.as_ref().is_err_and(is_connection_lost) {
            self.is_lost.store(true, Ordering::SeqCst);
        }
        answer
    }
}

/// How the writing connection is set up.
pub(crate) fn writer_options(path: &Path, options: &SqliteOptions) -> SqliteConnectOptions {
    base(path, options)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // A checkpoint copies each page once, however often it was written, so fewer and bigger ones are cheaper.
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864")
        .pragma("cache_size", "-16000")
}

/// How a reading connection is set up.
pub(crate) fn reader_options(path: &Path, options: &SqliteOptions) -> SqliteConnectOptions {
    base(path, options).read_only(true).pragma("cache_size", "-2000")
}

fn base(path: &Path, options: &SqliteOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .synchronous(match options.synchronous {
            Synchronous::Full => SqliteSynchronous::Full,
            Synchronous::Normal => SqliteSynchronous::Normal,
        })
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256)
        // Whole batches of rows cross to the async side at once.
        .row_buffer_size(1024)
        .disable_statement_logging()
}
