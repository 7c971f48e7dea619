//! The queue on RabbitMQ keeps every sentence of the queue's contract.

#![expect(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::bulk::BulkRuns;
use aftercommit_domain::contract::TopicName;
use aftercommit_domain::events::{EventLog, Outbox};
use aftercommit_domain::lineage::Lineage;
use aftercommit_domain::tasks::{
    DeadLetterOperations, DeadLetters, InboxMaintenance, QueueConsumer, QueueMaintenance, QueuePublisher, Schedules,
    TaskCancellations, TaskInspector, TaskPauses,
};
use aftercommit_domain::unit_of_work::UnitOfWorkFactory;
use aftercommit_testkit::TestServices;
use aftercommit_testkit::conformance::Provider;
use lapin::BasicProperties;

use rig::{LETTERS, PARCELS, Rig};

/// With `PARTITIONED` the broker keeps the order of the suites' topics, without it the database does.
struct RabbitMq<const PARTITIONED: bool>(Rig);

impl<const PARTITIONED: bool> Provider for RabbitMq<PARTITIONED> {
    const RESCUES_TASKS: bool = false;

    async fn start() -> Self {
        Self(
            Rig::start(|options| {
                if PARTITIONED {
                    options.ordered_topics = vec![LETTERS, PARCELS];
                }
            })
            .await,
        )
    }

    fn services(&self) -> &TestServices {
        &self.0.services
    }

    fn units_of_work(&self) -> Arc<dyn UnitOfWorkFactory> {
        Arc::new(self.0.store.clone())
    }

    fn inbox_maintenance(&self) -> Arc<dyn InboxMaintenance> {
        Arc::new(self.0.store.clone())
    }

    fn outbox(&self) -> Arc<dyn Outbox> {
        Arc::new(self.0.store.clone())
    }

    fn event_log(&self) -> Arc<dyn EventLog> {
        Arc::new(self.0.store.clone())
    }

    fn queue_publisher(&self) -> Arc<dyn QueuePublisher> {
        Arc::new(self.0.queue.clone())
    }

    fn queue_consumer(&self) -> Arc<dyn QueueConsumer> {
        Arc::new(self.0.queue.clone())
    }

    fn queue_maintenance(&self) -> Arc<dyn QueueMaintenance> {
        Arc::new(self.0.queue.clone())
    }

    fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        Arc::new(self.0.store.clone())
    }

    fn dead_letter_operations(&self) -> Arc<dyn DeadLetterOperations> {
        Arc::new(self.0.store.clone())
    }

    fn bulk_runs(&self) -> Option<Arc<dyn BulkRuns>> {
        Some(Arc::new(self.0.store.clone()))
    }

    fn schedules(&self) -> Option<Arc<dyn Schedules>> {
        Some(Arc::new(self.0.store.clone()))
    }

    fn cancellations(&self) -> Arc<dyn TaskCancellations> {
        Arc::new(self.0.store.clone())
    }

    fn pauses(&self) -> Arc<dyn TaskPauses> {
        Arc::new(self.0.store.clone())
    }

    fn task_inspector(&self) -> Arc<dyn TaskInspector> {
        Arc::new(self.0.queue.clone())
    }

    fn lineage(&self) -> Arc<dyn Lineage> {
        Arc::new(self.0.store.clone())
    }

    async fn publish_raw(&self, topic: &TopicName, body: &[u8]) {
        let exchange = self.0.name("tasks");
        self.0
            .publish_raw(&exchange, topic.as_str(), BasicProperties::default(), body)
            .await;
    }

    async fn advance(&self, by: Duration) {
        self.0.advance(by).await;
    }

    async fn stop(self) {
        self.0.stop().await;
    }
}

mod ordered_by_the_database {
    use super::RabbitMq;

    aftercommit_testkit::queue_conformance!(RabbitMq<false>);
    aftercommit_testkit::coalescing_conformance!(RabbitMq<false>);
    aftercommit_testkit::orders_conformance!(RabbitMq<false>);
    aftercommit_testkit::dead_letters_conformance!(RabbitMq<false>);
    aftercommit_testkit::schedules_conformance!(RabbitMq<false>);
    aftercommit_testkit::task_inspector_conformance!(RabbitMq<false>);
    aftercommit_testkit::lineage_conformance!(RabbitMq<false>);
}

mod ordered_by_the_broker {
    use super::RabbitMq;

    aftercommit_testkit::queue_conformance!(RabbitMq<true>);
    aftercommit_testkit::coalescing_conformance!(RabbitMq<true>);
    aftercommit_testkit::orders_conformance!(RabbitMq<true>);
    aftercommit_testkit::dead_letters_conformance!(RabbitMq<true>);
    aftercommit_testkit::task_inspector_conformance!(RabbitMq<true>);
    aftercommit_testkit::lineage_conformance!(RabbitMq<true>);
}
