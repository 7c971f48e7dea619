//! PostgreSQL, as store and as queue, keeps every sentence of the ports' contracts.

#![expect(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::bulk::BulkRuns;
use aftercommit_domain::contract::TopicName;
use aftercommit_domain::events::{EventLog, Outbox, OutboxTransfer};
use aftercommit_domain::lineage::Lineage;
use aftercommit_domain::tasks::{
    DeadLetterOperations, DeadLetters, HeldTasks, InboxMaintenance, QueueConsumer, QueueMaintenance, QueuePublisher,
    TaskCancellations, TaskHistory, TaskInspector, TaskPauses,
};
use aftercommit_domain::unit_of_work::UnitOfWorkFactory;
use aftercommit_platform_db_postgres::{PostgresOptions, ReplayInto};
use aftercommit_testkit::TestServices;
use aftercommit_testkit::conformance::Provider;
use aftercommit_testkit::postgres_server::PgBouncer;

use rig::Rig;

struct Postgres<const POOLED: bool>(Rig);

impl<const POOLED: bool> Provider for Postgres<POOLED> {
    async fn start() -> Self {
        Self(if POOLED {
            let pooler = PgBouncer::shared().await.address();
            Rig::start_with(|store| {
                let mut options = PostgresOptions::new(store.urls().through(pooler).url());
                options.migrate_url = store.url().into();
                options.pgbouncer = true;
                options
            })
            .await
        } else {
            Rig::start().await
        })
    }

    fn services(&self) -> &TestServices {
        &self.0.services
    }

    fn units_of_work(&self) -> Arc<dyn UnitOfWorkFactory> {
        Arc::new(self.0.process.database.units_of_work(self.0.services.envelopes.clone()))
    }

    fn inbox_maintenance(&self) -> Arc<dyn InboxMaintenance> {
        Arc::new(self.0.process.database.inbox_maintenance())
    }

    fn outbox(&self) -> Arc<dyn Outbox> {
        Arc::new(self.0.process.database.outbox())
    }

    fn outbox_transfer(&self) -> Option<Arc<dyn OutboxTransfer>> {
        Some(Arc::new(self.0.process.queue.clone()))
    }

    fn event_log(&self) -> Arc<dyn EventLog> {
        Arc::new(self.0.process.database.event_log())
    }

    fn queue_publisher(&self) -> Arc<dyn QueuePublisher> {
        Arc::new(self.0.process.queue.clone())
    }

    fn queue_consumer(&self) -> Arc<dyn QueueConsumer> {
        Arc::new(self.0.process.queue.clone())
    }

    fn queue_maintenance(&self) -> Arc<dyn QueueMaintenance> {
        Arc::new(self.0.process.queue.clone())
    }

    fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        Arc::new(
            self.0
                .process
                .database
                .dead_letters(ReplayInto::Tasks(self.0.process.queue.look())),
        )
    }

    fn dead_letter_operations(&self) -> Arc<dyn DeadLetterOperations> {
        Arc::new(
            self.0
                .process
                .database
                .dead_letters(ReplayInto::Tasks(self.0.process.queue.look())),
        )
    }

    fn bulk_runs(&self) -> Option<Arc<dyn BulkRuns>> {
        Some(Arc::new(self.0.process.database.bulk_runs()))
    }

    fn cancellations(&self) -> Arc<dyn TaskCancellations> {
        Arc::new(self.0.process.queue.clone())
    }

    fn pauses(&self) -> Arc<dyn TaskPauses> {
        Arc::new(self.0.process.queue.clone())
    }

    fn task_inspector(&self) -> Arc<dyn TaskInspector> {
        Arc::new(self.0.process.queue.clone())
    }

    fn held_tasks(&self) -> Option<Arc<dyn HeldTasks>> {
        Some(Arc::new(self.0.process.queue.clone()))
    }

    fn task_history(&self) -> Option<Arc<dyn TaskHistory>> {
        Some(Arc::new(self.0.process.queue.clone()))
    }

    fn lineage(&self) -> Arc<dyn Lineage> {
        Arc::new(self.0.process.queue.clone())
    }

    async fn publish_raw(&self, topic: &TopicName, body: &[u8]) {
        self.0.publish_raw(topic, body).await;
    }

    async fn advance(&self, by: Duration) {
        self.0.advance(by).await;
    }

    async fn stop(self) {
        self.0.stop().await;
    }
}

mod direct {
    use super::Postgres;

    aftercommit_testkit::outbox_conformance!(Postgres<false>);
    aftercommit_testkit::unit_of_work_conformance!(Postgres<false>);
    aftercommit_testkit::inbox_conformance!(Postgres<false>);
    aftercommit_testkit::queue_conformance!(Postgres<false>);
    aftercommit_testkit::coalescing_conformance!(Postgres<false>);
    aftercommit_testkit::orders_conformance!(Postgres<false>);
    aftercommit_testkit::event_log_conformance!(Postgres<false>);
    aftercommit_testkit::dead_letters_conformance!(Postgres<false>);
    aftercommit_testkit::task_inspector_conformance!(Postgres<false>);
    aftercommit_testkit::lineage_conformance!(Postgres<false>);
    aftercommit_testkit::transfer_conformance!(Postgres<false>);
    aftercommit_testkit::held_tasks_conformance!(Postgres<false>);
    aftercommit_testkit::task_history_conformance!(Postgres<false>);
}

/// Pooling by transaction.
mod through_pgbouncer {
    use super::Postgres;

    aftercommit_testkit::queue_conformance!(Postgres<true>);
    aftercommit_testkit::coalescing_conformance!(Postgres<true>);
    aftercommit_testkit::orders_conformance!(Postgres<true>);
    aftercommit_testkit::dead_letters_conformance!(Postgres<true>);
    aftercommit_testkit::task_inspector_conformance!(Postgres<true>);
    aftercommit_testkit::lineage_conformance!(Postgres<true>);
    aftercommit_testkit::transfer_conformance!(Postgres<true>);
    aftercommit_testkit::held_tasks_conformance!(Postgres<true>);
    aftercommit_testkit::task_history_conformance!(Postgres<true>);
}
