//! A transaction on the one writing connection.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::unit_of_work::{CommitError, StoreError};
use sqlx::sqlite::SqliteTransactionManager;
use sqlx::{SqlSafeStr as _, SqliteConnection};
use sqlx_core::transaction::TransactionManager as _;
use tokio::time::{Instant, timeout};

use crate::claims::{Topic, Topics};
use crate::columns::{Trouble, is_connection_lost, is_disk_trouble, trouble};
use crate::connection::{WriterConnection, WriterTurn};
use crate::wake::Wake;

/// A transaction that is open for longer is told of: nobody else writes meanwhile.
const TOO_LONG: Duration = Duration::from_secs(1);

/// An open transaction. It is the only one that writes while it is open, so it should be short: no network call, no
/// waiting for anything inside.
///
/// Dereferences to sqlx's connection, so any sqlx query runs in it. Dropped without [`commit`](Self::commit), it rolls
/// back.
pub struct SqliteTransaction {
    turn: WriterTurn,
    writer: Arc<WriterConnection>,
    relay: Arc<Wake>,
    topics: Arc<Topics>,
    /// Whether the relay has something to do once this is committed.
    has_messages: bool,
    /// Waiting tasks that it changes.
    withheld: Vec<(Arc<Topic>, i64)>,
    since: Instant,
    is_over: bool,
}

impl SqliteTransaction {
    /// Begins. Cancelling the call at any point leaves no transaction open: what is cancelled is dropped, and that rolls
    /// back.
    pub(crate) async fn begin(
        writer: &Arc<WriterConnection>,
        relay: &Arc<Wake>,
        topics: &Arc<Topics>,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let mut transaction = Self {
            turn: writer.turn(patience).await?,
            since: Instant::now(),
            writer: Arc::clone(writer),
            relay: Arc::clone(relay),
            topics: Arc::clone(topics),
            has_messages: false,
            withheld: Vec::new(),
            is_over: false,
        };
        let begun = timeout(writer.operation_timeout, transaction.begin_on_its_turn()).await;
        match begun {
            Ok(Ok(())) => Ok(transaction),
            Ok(Err(error)) => Err(StoreError::Unavailable {
                operation: "begin",
                reason: error.to_string(),
            }),
            Err(_) => Err(StoreError::Unavailable {
                operation: "begin",
                reason: format!("not done within {:?}", writer.operation_timeout),
            }),
        }
    }

    async fn begin_on_its_turn(&mut self) -> Result<(), sqlx::Error> {
        self.writer.recover(&mut self.turn).await?;
        self.writer.limit_statements(self.writer.operation_timeout);
        match begin_immediate(&mut self.turn).await {
            Err(error) if is_connection_lost(&error) => {
                self.writer.replace(&mut self.turn).await?;
                begin_immediate(&mut self.turn).await
            }
            begun => begun,
        }
    }

    /// Notes that the relay has something to do once this is committed.
    pub(crate) fn wake_relay_after_commit(&mut self) {
        self.has_messages = true;
    }

    /// Who has which task.
    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Keeps a waiting task from being handed out until this is over. `false` when somebody has it.
    pub(crate) fn withhold(&mut self, topic: &TopicName, seq: i64) -> bool {
        if self.withheld.iter().any(|(_, withheld)| *withheld == seq) {
            return true;
        }
        let topic = self.topics.topic(topic);
        if !topic.withhold(seq, &self.topics) {
            return false;
        }
        self.withheld.push((topic, seq));
        true
    }

    /// Makes everything durable and wakes the relay.
    ///
    /// # Errors
    /// [`CommitError::RolledBack`] and [`CommitError::Refused`] when nothing was changed, [`CommitError::Unknown`] when
    /// the disk failed or took too long: everything was changed, or nothing.
    pub async fn commit(mut self) -> Result<(), CommitError> {
        let limit = self.writer.operation_timeout;
        match timeout(limit, SqliteTransactionManager::commit(&mut self.turn)).await {
            Ok(Ok(())) => {
                self.is_over = true;
                Ok(())
            }
            Ok(Err(error)) if is_disk_trouble(&error) => Err(CommitError::Unknown {
                reason: error.to_string(),
            }),
            // Dropping `self` rolls back what is still open.
            Ok(Err(error)) => {
                let reason = error.to_string();
                Err(match trouble(&error) {
                    Trouble::Away => CommitError::RolledBack { reason },
                    Trouble::Refused | Trouble::Duplicate => CommitError::Refused { reason },
                })
            }
            Err(_) => Err(CommitError::Unknown {
                reason: format!("the commit was not done within {limit:?}"),
            }),
        }
    }

    /// Undoes everything. The same as dropping it, but done when it returns.
    ///
    /// # Errors
    /// When the connection is of no use any more; nothing was changed all the same.
    pub async fn rollback(mut self) -> Result<(), StoreError> {
        SqliteTransactionManager::rollback(&mut self.turn)
            .await
            .map_err(|error| StoreError::Unavailable {
                operation: "rollback",
                reason: error.to_string(),
            })?;
        self.is_over = true;
        self.has_messages = false;
        Ok(())
    }
}

impl Drop for SqliteTransaction {
    fn drop(&mut self) {
        if !self.is_over {
            self.writer.abandon(&mut self.turn);
        }
        // Also after a commit whose answer nobody waited for: it may have happened.
        let open_for = self.since.elapsed();
        if open_for > TOO_LONG {
            tracing::warn!(
                ?open_for,
                "a transaction was open for long; everything else that writes waited for it"
            );
        }
        for (topic, seq) in self.withheld.drain(..) {
            topic.withhold_no_more(seq);
        }
        if self.has_messages {
            self.relay.bump();
        }
    }
}

async fn begin_immediate(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    // A deferred transaction that reads and then writes fails at once when anyone wrote in between.
    SqliteTransactionManager::begin(connection, Some("BEGIN IMMEDIATE".into_sql_str())).await
}

impl Deref for SqliteTransaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.turn
    }
}

impl DerefMut for SqliteTransaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.turn
    }
}

impl fmt::Debug for SqliteTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTransaction")
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}
