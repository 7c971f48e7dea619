//! The queue: topics of tasks in a table.

mod announcement;
mod coalescing;
pub(crate) mod consumer;
mod delivery;
pub(crate) mod insertion;
mod lanes;
mod maintenance;
pub(crate) mod new_tasks;
pub(crate) mod publisher;
mod pump;
pub(crate) mod settlement;
mod transfer;
mod walk;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::unit_of_work::StoreError;
use aftercommit_platform_db_postgres::{PostgresDatabase, Wake};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::hearing::Hearing;
use crate::leases::Leases;
use crate::options::PostgresQueueOptions;
use crate::queue::announcement::Announcer;
use crate::queue::coalescing::{CoalesceJob, CoalescingLane};
use crate::queue::insertion::{Insertion, PublishJob};
use crate::queue::lanes::lanes;
use crate::queue::publisher::CANDIDATES_PER_JOB;
use crate::queue::settlement::{LostRuns, SettleJob, Settling};
use crate::statement::Statements;
use crate::topics::Topics;
use crate::watch::Watch;

/// Batches of new tasks that are written at the same time.
const PUBLISH_LANES: usize = 2;
/// Batches of publishes that are coalesced at the same time.
const COALESCE_LANES: usize = 2;
/// Batches of settled tasks that are written at the same time.
const SETTLE_LANES: usize = 2;
/// The longest closing waits for what is still being written.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// The queue of a database. Implements `QueuePublisher`, `QueueConsumer`, `QueueMaintenance`, `TaskInspector` and, for the
/// outbox of that database, `OutboxTransfer`; for what people order, `TaskCancellations` and `TaskPauses`; for a broker's queue
/// beside it, `HeldTasks` and `TaskHistory`. Clones share it.
#[derive(Clone)]
pub struct PostgresQueue {
    pub(crate) inner: Arc<Inner>,
}

/// What the parts of a queue share.
pub(crate) struct Inner {
    pub(crate) database: PostgresDatabase,
    pub(crate) engine: Statements,
    pub(crate) maintenance: Statements,
    pub(crate) console: Statements,
    pub(crate) topics: Arc<Topics>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) announcer: Announcer,
    pub(crate) publishes: mpsc::Sender<PublishJob>,
    pub(crate) coalesces: mpsc::Sender<CoalesceJob>,
    pub(crate) settles: mpsc::Sender<SettleJob>,
    /// The number of this process, the same for all its consumers.
    pub(crate) process: i64,
    pub(crate) tracker: TaskTracker,
    pub(crate) runtime: tokio::runtime::Handle,
    /// Ends the consumers.
    pub(crate) closing: CancellationToken,
    /// Ends what renews, watches and writes, once what waits is written.
    lanes_closing: CancellationToken,
    /// Whoever forgets to close ends the consumers all the same.
    _closing_at_the_end: DropGuard,
}

impl PostgresQueue {
    /// The queue of `database`. Call it once for each process, within a runtime: the queue renews its leases and watches
    /// for tasks until it is [closed](Self::close).
    pub fn new(database: &PostgresDatabase, options: PostgresQueueOptions) -> Self {
        let (pools, services) = (database.pools(), database.services());
        let statements = |pool: &sqlx::PgPool| Statements::of(pool.clone(), database.options());
        let (engine, leases) = (statements(&pools.engine), statements(&pools.leases));
        let topics = Arc::new(Topics::new(database.bell()));
        let (tracker, closing, lanes_closing) =
            (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let leases_of_process = Arc::new(Leases::new(
            leases.clone(),
            Arc::clone(&topics),
            Arc::clone(&services.clock),
            LostRuns::new(options.max_lost_runs, options.runs_beside_another_queue),
        ));
        tracker.spawn(Arc::clone(&leases_of_process).run(lanes_closing.child_token()));
        let watch = Watch {
            statements: leases.clone(),
            topics: Arc::clone(&topics),
            randomness: Arc::clone(&services.randomness),
            interval: options.poll_interval,
            bell: database.bell(),
        };
        tracker.spawn(watch.run(closing.child_token()));
        let hearing = Hearing {
            bell: database.bell(),
            topics: Arc::clone(&topics),
        };
        tracker.spawn(hearing.run(closing.child_token()));
        let announcer = Announcer {
            topics: Arc::clone(&topics),
            clock: Arc::clone(&services.clock),
        };
        let (publishes, gathering) = lanes::<PublishJob>(lanes_closing.clone());
        for _ in 0..PUBLISH_LANES {
            let insertion = Insertion {
                statements: engine.clone(),
                announcer: announcer.clone(),
            };
            tracker.spawn(insertion.run(gathering.clone()));
        }
        let (coalesces, gathering) = lanes::<CoalesceJob>(lanes_closing.clone());
        let gathering = gathering.of_rows(CANDIDATES_PER_JOB);
        for _ in 0..COALESCE_LANES {
            let lane = CoalescingLane {
                statements: engine.clone(),
                announcer: announcer.clone(),
            };
            tracker.spawn(lane.run(gathering.clone()));
        }
        let (settles, gathering) = lanes::<SettleJob>(lanes_closing.clone());
        for _ in 0..SETTLE_LANES {
            let settling = Settling {
                statements: engine.clone(),
                topics: Arc::clone(&topics),
                leases: Arc::clone(&leases_of_process),
                randomness: Arc::clone(&services.randomness),
                record_successes: database.options().record_successes,
            };
            tracker.spawn(settling.run(gathering.clone()));
        }
        Self {
            inner: Arc::new(Inner {
                engine,
                maintenance: leases,
                console: statements(&pools.console),
                topics,
                leases: leases_of_process,
                announcer,
                publishes,
                coalesces,
                settles,
                process: database.next_token(),
                tracker,
                runtime: tokio::runtime::Handle::current(),
                _closing_at_the_end: closing.clone().drop_guard(),
                closing,
                lanes_closing,
                database: database.clone(),
            }),
        }
    }

    /// Ends the consumers, writes what waits, and stops renewing. What comes afterwards is refused as unavailable. Before
    /// the database is closed.
    ///
    /// # Errors
    /// When something is still being written after 10 s. Everything answered with `Ok` is durable all the same.
    pub async fn close(&self) -> Result<(), StoreError> {
        let inner = &self.inner;
        inner.closing.cancel();
        inner.lanes_closing.cancel();
        inner.tracker.close();
        timeout(CLOSE_LIMIT, inner.tracker.wait())
            .await
            .map_err(|_| StoreError::Unavailable {
                operation: "close",
                reason: format!("something is still being written after {CLOSE_LIMIT:?}"),
            })
    }

    /// Makes the consumers of this process look for tasks when it is bumped: for what puts tasks on topics past this
    /// queue.
    pub fn look(&self) -> Arc<Wake> {
        Arc::clone(&self.inner.topics.look)
    }

    /// Looks at once at everything that waits for its time. For a database whose clock was set.
    pub fn clock_changed(&self) {
        self.inner.topics.wake_all();
    }
}

impl fmt::Debug for PostgresQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresQueue").finish_non_exhaustive()
    }
}
