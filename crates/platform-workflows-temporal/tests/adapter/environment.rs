//! A task queue of the test's own on a server, and what is done with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aftercommit_domain::contract::{Cause, OrganizationId, ProjectId, RunId, WorkflowKey};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::Reason;
use aftercommit_domain::time::{Clock, Timestamp, to_micros};
use aftercommit_domain::workflows::{
    SignalRequest, StartRequest, StopRequest, WorkflowDescription, WorkflowId, WorkflowInput, WorkflowQuerier,
    WorkflowRegistry, WorkflowSignal, WorkflowStarter,
};
use aftercommit_platform_workflows_temporal::{Temporal, TemporalConfig, TemporalWorker, WorkerHealth};
use aftercommit_testkit::temporal_server::TemporalServer;
use aftercommit_testkit::{TestServices, test_services};
use uuid::Uuid;

/// Within this time everything must be visible: no mistake may hide behind retries.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) struct Environment {
    pub(crate) server: TemporalServer,
    pub(crate) temporal: Temporal,
    pub(crate) services: TestServices,
    pub(crate) queue: String,
}

/// The wall clock, which the server's deadlines are compared with.
pub(crate) struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the clock of these tests")]
        let now = std::time::SystemTime::now();
        to_micros(now.into())
    }
}

impl Environment {
    /// On the server that the tests share.
    pub(crate) async fn shared() -> Self {
        Self::on(TemporalServer::shared().await)
    }

    pub(crate) fn on(server: TemporalServer) -> Self {
        static QUEUES: AtomicU64 = AtomicU64::new(0);
        let queue = format!("queue-{}", QUEUES.fetch_add(1, Ordering::Relaxed));
        let config = Self::config(&server).task_queue(&queue).unwrap();
        Self {
            server,
            temporal: Temporal::new(config),
            services: test_services(),
            queue,
        }
    }

    pub(crate) fn config(server: &TemporalServer) -> TemporalConfig {
        TemporalConfig::new(&server.url(), None, None)
            .unwrap()
            .sticky_timeout(Duration::from_secs(1))
            .grace(Duration::from_secs(1))
    }

    pub(crate) fn registry(&self) -> WorkflowRegistry {
        WorkflowRegistry::new(self.services.codec.clone())
    }

    /// A worker that takes tasks.
    pub(crate) async fn worker(&self, registry: WorkflowRegistry) -> TemporalWorker {
        let worker = self.temporal.start_worker(registry, Arc::new(WallClock)).unwrap();
        worker.wait_until(|health| *health == WorkerHealth::Running).await;
        worker
    }

    /// To start the workflow of this input under a key of its own queue, so that tests do not meet.
    pub(crate) fn request<I: WorkflowInput>(&self, key: &str, input: &I) -> StartRequest {
        let key = format!("{}/{key}", self.queue);
        StartRequest::new(&self.services.envelopes, new_id(), key, input, &Cause::root()).unwrap()
    }

    pub(crate) async fn start<I: WorkflowInput>(&self, key: &str, input: &I) -> (WorkflowId, RunId) {
        let request = self.request(key, input);
        let id = request.id.clone();
        (id, self.temporal.start(request).await.unwrap())
    }

    pub(crate) async fn signal<S: WorkflowSignal>(&self, id: &WorkflowId, signal: &S) {
        self.temporal.signal(signal_request(id, signal)).await.unwrap();
    }

    pub(crate) async fn describe(&self, id: &WorkflowId) -> WorkflowDescription {
        self.temporal.describe(id).await.unwrap().unwrap()
    }

    /// Asks until the description is as it must be soon.
    pub(crate) async fn described(
        &self,
        id: &WorkflowId,
        is_so: impl FnMut(&WorkflowDescription) -> bool,
    ) -> WorkflowDescription {
        self.described_within(SOON, id, is_so).await
    }

    /// The same, with a patience of the test's own.
    pub(crate) async fn described_within(
        &self,
        patience: Duration,
        id: &WorkflowId,
        mut is_so: impl FnMut(&WorkflowDescription) -> bool,
    ) -> WorkflowDescription {
        let asked = Instant::now();
        loop {
            let description = self.describe(id).await;
            if is_so(&description) {
                return description;
            }
            assert!(asked.elapsed() < patience, "{description:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn ended(&self, id: &WorkflowId) -> WorkflowDescription {
        self.described(id, |description| description.end.is_some()).await
    }

    /// The code of the problem that keeps it from going on.
    pub(crate) async fn problem(&self, id: &WorkflowId) -> String {
        let stuck = self.described(id, |description| description.problem.is_some()).await;
        stuck.problem.unwrap().code.into_owned()
    }
}

pub(crate) fn signal_request<S: WorkflowSignal>(id: &WorkflowId, signal: &S) -> SignalRequest {
    SignalRequest {
        id: id.clone(),
        request_id: new_id(),
        name: S::NAME,
        payload: serde_json::to_value(signal).unwrap(),
    }
}

pub(crate) fn stop_request(id: &WorkflowId) -> StopRequest {
    StopRequest {
        id: id.clone(),
        request_id: new_id(),
        reason: Reason::new("a test asks"),
    }
}

/// An id that no other request has, over all programs of tests.
pub(crate) fn new_id() -> MessageId {
    #[expect(clippy::disallowed_methods, reason = "the ids of these tests")]
    MessageId::from(Uuid::now_v7())
}

pub(crate) fn organization() -> OrganizationId {
    OrganizationId::from(7)
}

pub(crate) fn project() -> ProjectId {
    ProjectId::from(8)
}

/// The id of a workflow that is started by hand.
pub(crate) fn id_of<I: WorkflowInput>(input: &I, key: &str) -> WorkflowId {
    WorkflowId::new(input.tenant(), I::NAME, WorkflowKey::new(key.to_owned()).unwrap())
}
