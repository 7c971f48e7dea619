//! PostgreSQL keeps every sentence of the stores' contracts. The queue's sentences are shown in the queue's own crate; here
//! it only serves.

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
use aftercommit_platform_db_postgres::ReplayInto;
use aftercommit_platform_queue_postgres::{PostgresQueue, PostgresQueueOptions};
use aftercommit_testkit::TestServices;
use aftercommit_testkit::conformance::Provider;
use aftercommit_testkit::postgres_server::PgBouncer;

use rig::{Rig, pooled};

struct Postgres<const POOLED: bool> {
    rig: Rig,
    queue: PostgresQueue,
}

impl<const POOLED: bool> Provider for Postgres<POOLED> {
    async fn start() -> Self {
        let rig = if POOLED {
            let pooler = PgBouncer::shared().await.address();
            Rig::start_with(|store| pooled(store, pooler)).await
        } else {
            Rig::start().await
        };
        let queue = PostgresQueue::new(&rig.database, PostgresQueueOptions::default());
        Self { rig, queue }
    }

    fn services(&self) -> &TestServices {
        &self.rig.services
    }

    fn units_of_work(&self) -> Arc<dyn UnitOfWorkFactory> {
        Arc::new(self.rig.database.units_of_work(self.rig.services.envelopes.clone()))
    }

    fn inbox_maintenance(&self) -> Arc<dyn InboxMaintenance> {
        Arc::new(self.rig.database.inbox_maintenance())
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
        Arc::new(self.rig.database.dead_letters(ReplayInto::Tasks(self.queue.look())))
    }

    fn dead_letter_operations(&self) -> Arc<dyn DeadLetterOperations> {
        Arc::new(self.rig.database.dead_letters(ReplayInto::Tasks(self.queue.look())))
    }

    fn bulk_runs(&self) -> Option<Arc<dyn BulkRuns>> {
        Some(Arc::new(self.rig.database.bulk_runs()))
    }

    fn schedules(&self) -> Option<Arc<dyn Schedules>> {
        Some(Arc::new(self.rig.database.schedules()))
    }

    fn cancellations(&self) -> Arc<dyn TaskCancellations> {
        Arc::new(self.queue.clone())
    }

    fn pauses(&self) -> Arc<dyn TaskPauses> {
        Arc::new(self.queue.clone())
    }

    fn task_inspector(&self) -> Arc<dyn TaskInspector> {
        Arc::new(self.queue.clone())
    }

    fn lineage(&self) -> Arc<dyn Lineage> {
        Arc::new(self.queue.clone())
    }

    async fn publish_raw(&self, topic: &TopicName, body: &[u8]) {
        let id = aftercommit_domain::ids::Ids::next(&*self.rig.services.ids);
        sqlx::query(
            "INSERT INTO aftercommit.tasks (id, topic, task, state, due_at, enqueued_at, body) \
             VALUES ($1, $2, '', 0, aftercommit.clock(), aftercommit.clock(), $3)",
        )
        .bind(id)
        .bind(topic.as_str())
        .bind(body)
        .execute(&self.rig.direct)
        .await
        .unwrap();
        self.queue.clock_changed();
    }

    async fn advance(&self, by: Duration) {
        self.rig.advance(by).await;
        self.queue.clock_changed();
    }

    async fn stop(self) {
        self.queue.close().await.unwrap();
        self.rig.stop().await;
    }
}

mod direct {
    use super::Postgres;

    aftercommit_testkit::outbox_conformance!(Postgres<false>);
    aftercommit_testkit::unit_of_work_conformance!(Postgres<false>);
    aftercommit_testkit::inbox_conformance!(Postgres<false>);
    aftercommit_testkit::event_log_conformance!(Postgres<false>);
    aftercommit_testkit::dead_letters_conformance!(Postgres<false>);
    aftercommit_testkit::bulk_runs_conformance!(Postgres<false>);
    aftercommit_testkit::schedules_conformance!(Postgres<false>);
}

/// Pooling by transaction.
mod through_pgbouncer {
    use super::Postgres;

    aftercommit_testkit::outbox_conformance!(Postgres<true>);
    aftercommit_testkit::unit_of_work_conformance!(Postgres<true>);
    aftercommit_testkit::inbox_conformance!(Postgres<true>);
    aftercommit_testkit::event_log_conformance!(Postgres<true>);
    aftercommit_testkit::dead_letters_conformance!(Postgres<true>);
    aftercommit_testkit::bulk_runs_conformance!(Postgres<true>);
    aftercommit_testkit::schedules_conformance!(Postgres<true>);
}
