//! The loop of the writer: take what waits, write it in one transaction, answer everyone.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::time::Clock;
use futures::FutureExt as _;
use sqlx::SqliteConnection;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::claims::Topics;
use crate::columns::{Trouble, is_connection_lost, trouble};
use crate::connection::WriterConnection;
use crate::lock_file::LockFile;
use crate::options::RecordSuccesses;
use crate::queue::coalescing::{self, CoalesceJob};
use crate::queue::insertion::{self, PublishJob, Sequence};
use crate::queue::settlement::{self, SettleJob};
use crate::run_sheet::RunSheet;
use crate::transaction::SqliteTransaction;
use crate::wake::Wake;
use crate::writer::{Job, Work, WriteError, closed};

/// The most writes of one group, and the most bytes and tasks they may add: nobody else writes meanwhile.
const GROUP_JOBS: usize = 1024;
const GROUP_BYTES: usize = 4 * 1024 * 1024;
const GROUP_TASKS: usize = 4096;
/// After this long without a write the write-ahead log is cut.
const IDLE: Duration = Duration::from_secs(5);
/// How many groups pass between looks at the size of the write-ahead log.
const GROUPS_PER_LOOK: u32 = 64;

/// What writing needs besides the connection.
pub(crate) struct WriterContext {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) randomness: Arc<dyn Randomness>,
    pub(crate) record_successes: RecordSuccesses,
    pub(crate) topics: Arc<Topics>,
    pub(crate) sheet: Arc<RunSheet>,
    pub(crate) sequence: Arc<Sequence>,
}

/// The loop of the writer.
pub(crate) struct GroupWriter {
    pub(crate) connection: Arc<WriterConnection>,
    pub(crate) context: Arc<WriterContext>,
    pub(crate) relay: Arc<Wake>,
    pub(crate) wal: PathBuf,
    pub(crate) wal_bytes: u64,
    pub(crate) waiting: mpsc::Receiver<Job>,
    /// Nothing more is taken in; what waits is still written.
    pub(crate) closing: CancellationToken,
    /// Nobody else may open the database before the last write is over.
    pub(crate) _lock: Arc<LockFile>,
}

/// How a group failed. Nothing of it was written, or that is not known.
enum Attempt {
    /// For a reason all of its writes share.
    AllFailed(WriteError),
    /// One of them could not be applied.
    OneFailed(WriteError),
}

impl Attempt {
    fn into_error(self) -> WriteError {
        match self {
            Self::AllFailed(error) | Self::OneFailed(error) => error,
        }
    }
}

#[derive(Default)]
struct Group {
    publishes: Vec<PublishJob>,
    coalesces: Vec<CoalesceJob>,
    settles: Vec<SettleJob>,
    others: Vec<Box<dyn Work>>,
}

impl GroupWriter {
    /// Writes until everyone who could hand over a write is gone, or it is closing and nothing waits.
    pub(crate) async fn run(mut self) {
        let closing = self.closing.clone();
        let mut is_dirty = false;
        let mut groups = 0_u32;
        loop {
            let first = tokio::select! {
                biased;
                first = self.waiting.recv() => first,
                () = closing.cancelled(), if !self.waiting.is_closed() => {
                    self.waiting.close();
                    continue;
                }
                () = sleep(IDLE), if is_dirty => {
                    self.cut_log().await;
                    is_dirty = false;
                    continue;
                }
            };
            let Some(first) = first else { return };
            let group = self.fill(first);
            // A bug in one write must not end the only writer.
            if AssertUnwindSafe(self.write(group)).catch_unwind().await.is_err() {
                tracing::error!(
                    "the writer panicked while it answered; who waited is told that the database is closed"
                );
            }
            is_dirty = true;
            groups = groups.wrapping_add(1);
            if groups.is_multiple_of(GROUPS_PER_LOOK) && self.is_log_long() {
                self.cut_log().await;
            }
        }
    }

    /// Adds what waits already, up to the bounds of a group.
    fn fill(&mut self, first: Job) -> Group {
        let mut group = Group::default();
        let (mut jobs, mut bytes, mut tasks) = (0, 0, 0);
        let mut next = Some(first);
        while let Some(job) = next {
            jobs += 1;
            let (its_bytes, its_tasks) = job.adds();
            bytes += its_bytes;
            tasks += its_tasks;
            group.add(job);
            let has_room = jobs < GROUP_JOBS && bytes < GROUP_BYTES && tasks < GROUP_TASKS;
            next = if has_room { self.waiting.try_recv().ok() } else { None };
        }
        group
    }

    async fn write(&self, mut group: Group) {
        match self.attempt(&mut group).await {
            Ok(()) => group.finish(&self.context, &Ok(())),
            // Each for itself, so that only the one that cannot be written fails.
            Err(Attempt::OneFailed(_)) if group.len() > 1 => {
                for mut alone in group.split() {
                    let result = self.attempt(&mut alone).await.map_err(Attempt::into_error);
                    alone.finish(&self.context, &result);
                }
            }
            Err(failed) => group.finish(&self.context, &Err(failed.into_error())),
        }
    }

    async fn attempt(&self, group: &mut Group) -> Result<(), Attempt> {
        let all = |error: WriteError| Attempt::AllFailed(error);
        let mut transaction = SqliteTransaction::begin(
            &self.connection,
            &self.relay,
            &self.context.topics,
            self.connection.operation_timeout,
        )
        .await
        .map_err(|error| all(error.into()))?;
        let limit = self.connection.operation_timeout;
        let applied = AssertUnwindSafe(group.apply(&mut transaction, &self.context)).catch_unwind();
        match timeout(limit, applied).await {
            Ok(Ok(Ok(()))) => {
                failpoint!(GROUP_BEFORE_COMMIT);
                transaction.commit().await.map_err(|error| all(error.into()))?;
                failpoint!(GROUP_AFTER_COMMIT);
                Ok(())
            }
            // No room, or a failing disk: each of them alone would fail for the same reason.
            Ok(Ok(Err(error))) if is_connection_lost(&error) || matches!(trouble(&error), Trouble::Away) => {
                Err(all(error.into()))
            }
            Ok(Ok(Err(error))) => Err(Attempt::OneFailed(error.into())),
            Ok(Err(_panic)) => Err(Attempt::OneFailed(WriteError::Refused("writing it panicked".into()))),
            Err(_) => Err(all(WriteError::Unavailable(format!("not written within {limit:?}")))),
        }
    }

    fn is_log_long(&self) -> bool {
        std::fs::metadata(&self.wal).is_ok_and(|wal| wal.len() > self.wal_bytes)
    }

    /// Moves the write-ahead log into the database and cuts it. Gives up at once when someone is still reading an old
    /// state; the next look tries again.
    async fn cut_log(&self) {
        let Ok(mut turn) = self.connection.turn(self.connection.operation_timeout).await else {
            return;
        };
        // One string, so that the timeout is back in place even when this future is dropped in between.
        let cut =
            sqlx::raw_sql("PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = 5000;")
                .execute(&mut *turn);
        match timeout(self.connection.operation_timeout, cut).await {
            Ok(Ok(_)) => {
                drop(turn);
                if self.is_log_long() {
                    tracing::warn!(
                        "the write-ahead log cannot be cut while someone reads an old state; close long read transactions"
                    );
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "the write-ahead log could not be cut"),
            Err(_) => tracing::warn!("cutting the write-ahead log takes too long"),
        }
    }
}

impl Group {
    fn add(&mut self, job: Job) {
        match job {
            Job::Publish(publish) => self.publishes.push(publish),
            Job::Coalesce(coalesce) => self.coalesces.push(coalesce),
            Job::Settle(settle) => self.settles.push(settle),
            Job::Other(work) => self.others.push(work),
        }
    }

    fn len(&self) -> usize {
        self.publishes.len() + self.coalesces.len() + self.settles.len() + self.others.len()
    }

    async fn apply(&mut self, connection: &mut SqliteConnection, context: &WriterContext) -> Result<(), sqlx::Error> {
        if !self.settles.is_empty() {
            settlement::apply(connection, &self.settles, context).await?;
            failpoint!(GROUP_AFTER_SETTLE);
        }
        if !self.publishes.is_empty() {
            insertion::insert(connection, &mut self.publishes, &context.sequence).await?;
        }
        if !self.coalesces.is_empty() {
            coalescing::apply(connection, &mut self.coalesces, context).await?;
        }
        for work in &mut self.others {
            work.apply(connection).await?;
        }
        Ok(())
    }

    fn split(self) -> Vec<Self> {
        let publishes = self.publishes.into_iter().map(Job::Publish);
        let coalesces = self.coalesces.into_iter().map(Job::Coalesce);
        let settles = self.settles.into_iter().map(Job::Settle);
        let others = self.others.into_iter().map(Job::Other);
        publishes
            .chain(coalesces)
            .chain(settles)
            .chain(others)
            .map(|job| {
                let mut alone = Self::default();
                alone.add(job);
                alone
            })
            .collect()
    }

    fn finish(self, context: &WriterContext, result: &Result<(), WriteError>) {
        settlement::finish(self.settles, result, context);
        insertion::finish(self.publishes, result, context);
        coalescing::finish(self.coalesces, result, context);
        for work in self.others {
            work.finish(result.clone());
        }
    }
}

impl Drop for GroupWriter {
    fn drop(&mut self) {
        // What was handed over but not written is answered, so that nobody waits for ever.
        self.waiting.close();
        while let Ok(job) = self.waiting.try_recv() {
            let mut group = Group::default();
            group.add(job);
            group.finish(&self.context, &Err(closed()));
        }
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::Limits;
    use aftercommit_testkit::test_services;

    use crate::database::SqliteDatabase;
    use crate::options::{SqliteOptions, SqliteServices};
    use crate::writer::WriteError;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_in_one_write_ends_neither_the_writer_nor_another_write() {
        let directory = tempfile::tempdir().unwrap();
        let services = test_services();
        let services = SqliteServices {
            clock: services.clock_port(),
            ids: services.ids_port(),
            randomness: services.randomness_port(),
            limits: Limits::default(),
        };
        let options = SqliteOptions::new(directory.path().join("panics.db"));
        let database = SqliteDatabase::open(options, services).await.unwrap();
        let writer = database.writer();
        // While this transaction is open both gather in one group.
        let open = database.begin().await.unwrap();
        let (panicked, written, ()) = tokio::join!(
            writer.call(|_| Box::pin(async { panic!("a bug") }), |_: &Result<(), _>| {}),
            writer.call(|_| Box::pin(async { Ok(7) }), |_| {}),
            async { drop(open) },
        );
        assert!(matches!(&panicked, Err(WriteError::Refused(reason)) if reason.contains("panicked")));
        assert_eq!(written.unwrap(), 7);
        let after = writer.call(|_| Box::pin(async { Ok(8) }), |_| {}).await;
        assert_eq!(after.unwrap(), 8);
        database.close().await.unwrap();
    }
}
