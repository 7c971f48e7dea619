//! A database in a directory of its own, and what the tests do with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use aftercommit_domain::contract::{Limits, TaskEnvelope, TopicName, WorkerName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{ConsumeOptions, Deliveries, Delivery, Published, QueueConsumer, QueuePublisher};
use aftercommit_platform_embedded_sqlite::{OpenError, SqliteDatabase, SqliteOptions, SqliteServices};
use aftercommit_testkit::conformance::Messages;
use aftercommit_testkit::{TestServices, test_services};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// The topic of [`Messages`].
pub(crate) const TOPIC: TopicName = TopicName::constant("letters");
/// What must happen happens within this.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// The lease of everything that is taken.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// A directory for a database, and the services it is opened with.
pub(crate) struct Rig {
    pub(crate) services: TestServices,
    directory: TempDir,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self {
            services: test_services(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("rail.db")
    }

    pub(crate) fn options(&self) -> SqliteOptions {
        SqliteOptions::new(self.path())
    }

    pub(crate) async fn open(&self) -> SqliteDatabase {
        self.open_with(self.options()).await.unwrap()
    }

    pub(crate) async fn open_with(&self, options: SqliteOptions) -> Result<SqliteDatabase, OpenError> {
        let database = SqliteDatabase::open(options, services(&self.services)).await?;
        let told = database.clone();
        self.services.clock.on_change(move || told.clock_changed());
        Ok(database)
    }

    /// Runs what a process does until it dies: the database is not closed, and nothing that was taken is settled.
    pub(crate) fn until_it_dies<T>(&self, work: impl AsyncFnOnce(SqliteDatabase) -> T) -> T {
        let runtime = runtime();
        let result = runtime.block_on(async {
            let database = SqliteDatabase::open(self.options(), services(&self.services)).await;
            work(database.unwrap()).await
        });
        drop(runtime);
        result
    }

    pub(crate) fn messages(&self) -> Messages<'_> {
        Messages::new(&self.services)
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) fn services(services: &TestServices) -> SqliteServices {
    SqliteServices {
        clock: services.clock_port(),
        ids: services.ids_port(),
        randomness: services.randomness_port(),
        limits: Limits::default(),
    }
}

/// Publishes tasks that are all new.
pub(crate) async fn publish(database: &SqliteDatabase, tasks: Vec<TaskEnvelope>) -> Vec<MessageId> {
    let results = soon(database.queue().publish(tasks)).await;
    let enqueued = results.into_iter().map(|result| match result {
        Ok(Published::Enqueued(id)) => id,
        other => panic!("{other:?}"),
    });
    enqueued.collect()
}

pub(crate) async fn consume(database: &SqliteDatabase, prefetch: usize) -> Box<dyn Deliveries> {
    let options = ConsumeOptions {
        worker: WorkerName::constant("test"),
        prefetch,
        lease: LEASE,
    };
    soon(database.queue().consume(&TOPIC, options)).await.unwrap()
}

pub(crate) async fn next(deliveries: &mut Box<dyn Deliveries>) -> Box<dyn Delivery> {
    soon(deliveries.next()).await.unwrap().unwrap()
}

pub(crate) async fn take(deliveries: &mut Box<dyn Deliveries>, count: usize) -> Vec<Box<dyn Delivery>> {
    let mut taken = Vec::new();
    for _ in 0..count {
        taken.push(next(deliveries).await);
    }
    taken
}

pub(crate) fn id_of(delivery: &dyn Delivery) -> MessageId {
    TaskEnvelope::decode(&delivery.task().body, &Limits::default())
        .unwrap()
        .id
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.unwrap()
}

/// This test binary as a process of its own, running one ignored test in `directory`.
pub(crate) fn child(test: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}
