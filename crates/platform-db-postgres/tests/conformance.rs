//! PostgreSQL keeps every sentence of the stores' contracts. The queue's sentences, and those that need one, are in the
//! queue's crate; here a queue in memory stands in.

mod rig;

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::events::{EventLog, Outbox};
use aftercommit_domain::tasks::{DeadLetters, QueueConsumer, QueueMaintenance, QueuePublisher, TaskInspector};
use aftercommit_domain::unit_of_work::UnitOfWorkFactory;
use aftercommit_testkit::conformance::Provider;
use aftercommit_testkit::{InMemory, TestServices};

use rig::Rig;

struct Postgres {
    rig: Rig,
    queue: InMemory,
}

impl Provider for Postgres {
    async fn start() -> Self {
        let rig = Rig::start().await;
        let queue = InMemory::for_tests(&rig.services);
        Self { rig, queue }
    }

    fn services(&self) -> &TestServices {
        &self.rig.services
    }

    fn units_of_work(&self) -> Arc<dyn UnitOfWorkFactory> {
        Arc::new(self.rig.database.units_of_work(self.rig.services.envelopes.clone()))
    }

    fn outbox(&self) -> Arc<dyn Outbox> {
        Arc::new(self.rig.database.outbox())
    }

    fn event_log(&self) -> Arc<dyn EventLog> {
        Arc::new(self.rig.database.event_log())
    }

    fn queue_publisher(&self) -> Arc<dyn QueuePublisher> {
        Arc::new(self.queue.clone())
    }

    fn queue_consumer(&self) -> Arc<dyn QueueConsumer> {
        Arc::new(self.queue.clone())
    }

    fn queue_maintenance(&self) -> Arc<dyn QueueMaintenance> {
        Arc::new(self.queue.clone())
    }

    fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        Arc::new(self.queue.clone())
    }

    fn task_inspector(&self) -> Arc<dyn TaskInspector> {
        Arc::new(self.queue.clone())
    }

    async fn publish_raw(&self, topic: &TopicName, body: &[u8]) {
        self.queue.publish_raw(topic, body);
    }

    async fn advance(&self, by: Duration) {
        self.rig.advance(by).await;
    }

    async fn stop(self) {
        self.rig.stop().await;
    }
}

aftercommit_testkit::outbox_conformance!(Postgres);
aftercommit_testkit::unit_of_work_conformance!(Postgres);
aftercommit_testkit::event_log_conformance!(Postgres);
