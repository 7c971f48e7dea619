//! What every workflow engine is held to, on a real server.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aftercommit_domain::contract::EnvelopeFactory;
use aftercommit_domain::time::{Clock, Timestamp, to_micros};
use aftercommit_domain::workflows::{WorkflowQuerier, WorkflowRegistry, WorkflowStarter};
use aftercommit_platform_workflows_temporal::{Temporal, TemporalConfig, TemporalWorker, WorkerHealth};
use aftercommit_testkit::conformance::workflows::{SCENARIOS, WorkflowEnvironment};
use aftercommit_testkit::temporal_server::{TemporalOptions, TemporalServer};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, OnceCell};

/// A namespace of its own on one server, so that nobody sees what others do.
struct Namespace {
    temporal: Temporal,
    worker: Mutex<Option<Worker>>,
}

/// A worker, and all of what would be its process.
struct Worker {
    worker: TemporalWorker,
    process: Runtime,
    registry: WorkflowRegistry,
}

impl WorkflowEnvironment for Namespace {
    async fn start(registry: WorkflowRegistry, _: &EnvelopeFactory) -> Self {
        let config = TemporalConfig::new(&server().await.url(), None, None).unwrap();
        let config = config
            .namespace(&next_namespace())
            .unwrap()
            .sticky_timeout(Duration::from_millis(500))
            .grace(Duration::from_millis(200));
        let temporal = Temporal::new(config);
        let worker = Worker::start(&temporal, registry).await;
        Self {
            temporal,
            worker: Mutex::new(Some(worker)),
        }
    }

    fn starter(&self) -> Arc<dyn WorkflowStarter> {
        Arc::new(self.temporal.clone())
    }

    fn querier(&self) -> Arc<dyn WorkflowQuerier> {
        Arc::new(self.temporal.clone())
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn moment(&self) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    async fn crash(&self) {
        let mut worker = self.worker.lock().await;
        let Worker {
            worker: killed,
            process,
            registry,
        } = worker.take().unwrap();
        killed.abandon().await;
        // With its connections and its activities.
        process.shutdown_background();
        *worker = Some(Worker::start(&self.temporal, registry).await);
    }

    async fn deploy(&self, registry: WorkflowRegistry) {
        let mut worker = self.worker.lock().await;
        worker.take().unwrap().stop().await;
        *worker = Some(Worker::start(&self.temporal, registry).await);
    }

    async fn stop(self) {
        self.worker.into_inner().unwrap().stop().await;
    }
}

impl Worker {
    async fn start(temporal: &Temporal, registry: WorkflowRegistry) -> Self {
        let process = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let worker = {
            let _within = process.enter();
            temporal.start_worker(registry.clone(), Arc::new(WallClock)).unwrap()
        };
        worker.wait_until(|health| *health == WorkerHealth::Running).await;
        Self {
            worker,
            process,
            registry,
        }
    }

    async fn stop(self) {
        self.worker.stop().await;
        self.process.shutdown_background();
    }
}

/// One server with a namespace for each scenario.
async fn server() -> &'static TemporalServer {
    static SERVER: OnceCell<TemporalServer> = OnceCell::const_new();
    SERVER
        .get_or_init(|| {
            let options = (0..SCENARIOS).fold(TemporalOptions::default(), |options, number| {
                options.namespace(&namespace(number))
            });
            TemporalServer::start(options)
        })
        .await
}

fn next_namespace() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    namespace(NEXT.fetch_add(1, Ordering::Relaxed))
}

fn namespace(number: usize) -> String {
    format!("scenario-{number}")
}

/// The wall clock, which the server's deadlines are compared with.
struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the clock of these tests")]
        let now = std::time::SystemTime::now();
        to_micros(now.into())
    }
}

aftercommit_testkit::workflows_conformance!(Namespace);
