//! The in-memory provider keeps every sentence of the ports' contracts.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::bulk::BulkRuns;
use aftercommit_domain::contract::{EnvelopeFactory, TopicName};
use aftercommit_domain::events::{EventLog, Outbox, OutboxTransfer};
use aftercommit_domain::lineage::Lineage;
use aftercommit_domain::tasks::{
    DeadLetterOperations, DeadLetters, HeldTasks, InboxMaintenance, QueueConsumer, QueueMaintenance, QueuePublisher,
    Schedules, TaskCancellations, TaskHistory, TaskInspector, TaskPauses,
};
use aftercommit_domain::unit_of_work::UnitOfWorkFactory;
use aftercommit_domain::workflows::{WorkflowQuerier, WorkflowRegistry, WorkflowStarter};
use aftercommit_testkit::conformance::workflows::WorkflowEnvironment;
use aftercommit_testkit::conformance::{Provider, SCENARIOS};
use aftercommit_testkit::{InMemory, InMemoryWorkflows, TestServices, test_services};

struct Memory {
    services: TestServices,
    store: InMemory,
}

impl Provider for Memory {
    async fn start() -> Self {
        let services = test_services();
        let store = InMemory::for_tests(&services);
        Self { services, store }
    }

    fn services(&self) -> &TestServices {
        &self.services
    }

    fn units_of_work(&self) -> Arc<dyn UnitOfWorkFactory> {
        Arc::new(self.store.clone())
    }

    fn inbox_maintenance(&self) -> Arc<dyn InboxMaintenance> {
        Arc::new(self.store.clone())
    }

    fn outbox(&self) -> Arc<dyn Outbox> {
        Arc::new(self.store.clone())
    }

    fn outbox_transfer(&self) -> Option<Arc<dyn OutboxTransfer>> {
        Some(Arc::new(self.store.clone()))
    }

    fn event_log(&self) -> Arc<dyn EventLog> {
        Arc::new(self.store.clone())
    }

    fn queue_publisher(&self) -> Arc<dyn QueuePublisher> {
        Arc::new(self.store.clone())
    }

    fn queue_consumer(&self) -> Arc<dyn QueueConsumer> {
        Arc::new(self.store.clone())
    }

    fn queue_maintenance(&self) -> Arc<dyn QueueMaintenance> {
        Arc::new(self.store.clone())
    }

    fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        Arc::new(self.store.clone())
    }

    fn dead_letter_operations(&self) -> Arc<dyn DeadLetterOperations> {
        Arc::new(self.store.clone())
    }

    fn bulk_runs(&self) -> Option<Arc<dyn BulkRuns>> {
        Some(Arc::new(self.store.clone()))
    }

    fn schedules(&self) -> Option<Arc<dyn Schedules>> {
        Some(Arc::new(self.store.clone()))
    }

    fn cancellations(&self) -> Arc<dyn TaskCancellations> {
        Arc::new(self.store.clone())
    }

    fn pauses(&self) -> Arc<dyn TaskPauses> {
        Arc::new(self.store.clone())
    }

    fn task_inspector(&self) -> Arc<dyn TaskInspector> {
        Arc::new(self.store.clone())
    }

    fn lineage(&self) -> Arc<dyn Lineage> {
        Arc::new(self.store.clone())
    }

    fn held_tasks(&self) -> Option<Arc<dyn HeldTasks>> {
        Some(Arc::new(self.store.clone()))
    }

    fn task_history(&self) -> Option<Arc<dyn TaskHistory>> {
        Some(Arc::new(self.store.clone()))
    }

    async fn publish_raw(&self, topic: &TopicName, body: &[u8]) {
        self.store.publish_raw(topic, body);
    }

    async fn stop(self) {}
}

struct MemoryWorkflows(InMemoryWorkflows);

impl WorkflowEnvironment for MemoryWorkflows {
    async fn start(registry: WorkflowRegistry, _: &EnvelopeFactory) -> Self {
        Self(InMemoryWorkflows::new(registry, &test_services()))
    }

    fn starter(&self) -> Arc<dyn WorkflowStarter> {
        Arc::new(self.0.clone())
    }

    fn querier(&self) -> Arc<dyn WorkflowQuerier> {
        Arc::new(self.0.clone())
    }

    async fn pass(&self, time: Duration) {
        self.0.advance(time).await;
    }

    async fn moment(&self) {
        self.0.moment().await;
    }

    async fn crash(&self) {
        self.0.crash();
    }

    async fn deploy(&self, registry: WorkflowRegistry) {
        self.0.deploy(registry);
    }

    async fn stop(self) {}
}

aftercommit_testkit::outbox_conformance!(Memory);
aftercommit_testkit::unit_of_work_conformance!(Memory);
aftercommit_testkit::inbox_conformance!(Memory);
aftercommit_testkit::queue_conformance!(Memory);
aftercommit_testkit::coalescing_conformance!(Memory);
aftercommit_testkit::orders_conformance!(Memory);
aftercommit_testkit::event_log_conformance!(Memory);
aftercommit_testkit::dead_letters_conformance!(Memory);
aftercommit_testkit::bulk_runs_conformance!(Memory);
aftercommit_testkit::schedules_conformance!(Memory);
aftercommit_testkit::task_inspector_conformance!(Memory);
aftercommit_testkit::lineage_conformance!(Memory);
aftercommit_testkit::transfer_conformance!(Memory);
aftercommit_testkit::held_tasks_conformance!(Memory);
aftercommit_testkit::task_history_conformance!(Memory);
aftercommit_testkit::workflows_conformance!(MemoryWorkflows);

/// The scenarios written in these sources: every public asynchronous function over a provider or a workflow engine.
fn scenarios_in(sources: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = sources
        .iter()
        .flat_map(|source| source.lines())
        .filter_map(|line| line.strip_prefix("pub async fn "))
        .filter_map(|line| {
            line.split_once("<P: Provider>(")
                .or_else(|| line.split_once("<E: WorkflowEnvironment>("))
        })
        .map(|(name, _)| name.to_owned())
        .collect();
    names.sort();
    names
}

macro_rules! sources {
    ($($file:literal),* $(,)?) => { [$(include_str!(concat!("../src/conformance/", $file))),*] };
}

#[test]
fn every_scenario_that_is_written_is_in_its_suite() {
    let suites: [(&[&str], Vec<&str>); 15] = [
        (
            outbox::NAMES,
            sources![
                "outbox/leases.rs",
                "outbox/order.rs",
                "outbox/releasing.rs",
                "outbox/waking.rs"
            ]
            .to_vec(),
        ),
        (unit_of_work::NAMES, sources!["unit_of_work.rs"].to_vec()),
        (inbox::NAMES, sources!["inbox.rs"].to_vec()),
        (
            queue::NAMES,
            sources![
                "queue/delays.rs",
                "queue/leases.rs",
                "queue/order.rs",
                "queue/publishing.rs",
                "queue/settling.rs",
                "queue/stopping.rs",
                "queue/taking.rs"
            ]
            .to_vec(),
        ),
        (
            coalescing::NAMES,
            sources![
                "coalescing/keys.rs",
                "coalescing/order.rs",
                "coalescing/time_windows.rs",
                "coalescing/unfinished.rs",
                "coalescing/walk.rs"
            ]
            .to_vec(),
        ),
        (
            orders::NAMES,
            sources!["orders/cancelling.rs", "orders/pausing.rs", "orders/windows.rs"].to_vec(),
        ),
        (event_log::NAMES, sources!["event_log.rs"].to_vec()),
        (
            dead_letters::NAMES,
            sources!["dead_letters/keeping.rs", "dead_letters/operations.rs"].to_vec(),
        ),
        (bulk_runs::NAMES, sources!["bulk_runs.rs"].to_vec()),
        (
            schedules::NAMES,
            sources![
                "schedules/deciding.rs",
                "schedules/keeping.rs",
                "schedules/overlapping.rs",
                "schedules/pausing.rs"
            ]
            .to_vec(),
        ),
        (task_inspector::NAMES, sources!["task_inspector.rs"].to_vec()),
        (lineage::NAMES, sources!["lineage.rs"].to_vec()),
        (transfer::NAMES, sources!["transfer.rs"].to_vec()),
        (held_tasks::NAMES, sources!["held_tasks.rs"].to_vec()),
        (task_history::NAMES, sources!["task_history.rs"].to_vec()),
    ];
    let mut total = 0;
    for (names, sources) in suites {
        let mut names: Vec<&str> = names.to_vec();
        names.sort_unstable();
        assert_eq!(names, scenarios_in(&sources));
        total += names.len();
    }
    assert_eq!(total, SCENARIOS);
    let mut names = workflows::NAMES.to_vec();
    names.sort_unstable();
    let sources = sources![
        "workflows/activities.rs",
        "workflows/children.rs",
        "workflows/crashing.rs",
        "workflows/ending.rs",
        "workflows/looking.rs",
        "workflows/starting.rs",
        "workflows/waiting.rs"
    ];
    assert_eq!(names, scenarios_in(&sources));
}
