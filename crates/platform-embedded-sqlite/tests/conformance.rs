//! SQLite keeps every sentence of the ports' contracts.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::bulk::BulkRuns;
use aftercommit_domain::contract::TopicName;
use aftercommit_domain::events::{EventLog, Outbox};
use aftercommit_domain::ids::Ids as _;
use aftercommit_domain::lineage::Lineage;
use aftercommit_domain::tasks::{
    DeadLetterOperations, DeadLetters, InboxMaintenance, QueueConsumer, QueueMaintenance, QueuePublisher, Schedules,
    TaskCancellations, TaskInspector, TaskPauses,
};
use aftercommit_domain::time::Clock as _;
use aftercommit_domain::unit_of_work::UnitOfWorkFactory;
use aftercommit_platform_embedded_sqlite::{SqliteDatabase, SqliteOptions, SqliteServices};
use aftercommit_testkit::conformance::Provider;
use aftercommit_testkit::{TestServices, test_services};
use tempfile::TempDir;

struct Sqlite {
    services: TestServices,
    database: SqliteDatabase,
    directory: TempDir,
}

impl Provider for Sqlite {
    const CONCURRENT_TRANSACTIONS: bool = false;

    async fn start() -> Self {
        let services = test_services();
        let directory = tempfile::tempdir().unwrap();
        let database = SqliteDatabase::open(
            SqliteOptions::new(directory.path().join("rail.db")),
            SqliteServices {
                clock: Arc::new(services.clock.clone()),
                ids: services.ids.clone(),
                randomness: services.randomness.clone(),
                limits: *services.envelopes.codec().limits(),
            },
        )
        .await
        .unwrap();
        let told = database.clone();
        services.clock.on_change(move || told.clock_changed());
        Self {
            services,
            database,
            directory,
        }
    }

    fn services(&self) -> &TestServices {
        &self.services
    }

    fn units_of_work(&self) -> Arc<dyn UnitOfWorkFactory> {
        Arc::new(self.database.units_of_work(self.services.envelopes.clone()))
    }

    fn inbox_maintenance(&self) -> Arc<dyn InboxMaintenance> {
        Arc::new(self.database.inbox_maintenance())
    }

    fn outbox(&self) -> Arc<dyn Outbox> {
        Arc::new(self.database.outbox())
    }

    fn event_log(&self) -> Arc<dyn EventLog> {
        Arc::new(self.database.event_log())
    }

    fn queue_publisher(&self) -> Arc<dyn QueuePublisher> {
        Arc::new(self.database.queue())
    }

    fn queue_consumer(&self) -> Arc<dyn QueueConsumer> {
        Arc::new(self.database.queue())
    }

    fn queue_maintenance(&self) -> Arc<dyn QueueMaintenance> {
        Arc::new(self.database.queue())
    }

    fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        Arc::new(self.database.dead_letters())
    }

    fn dead_letter_operations(&self) -> Arc<dyn DeadLetterOperations> {
        Arc::new(self.database.dead_letters())
    }

    fn bulk_runs(&self) -> Option<Arc<dyn BulkRuns>> {
        Some(Arc::new(self.database.bulk_runs()))
    }

    fn schedules(&self) -> Option<Arc<dyn Schedules>> {
        Some(Arc::new(self.database.schedules()))
    }

    fn cancellations(&self) -> Arc<dyn TaskCancellations> {
        Arc::new(self.database.queue())
    }

    fn pauses(&self) -> Arc<dyn TaskPauses> {
        Arc::new(self.database.queue())
    }

    fn task_inspector(&self) -> Arc<dyn TaskInspector> {
        Arc::new(self.database.queue())
    }

    fn lineage(&self) -> Arc<dyn Lineage> {
        Arc::new(self.database.queue())
    }

    async fn publish_raw(&self, topic: &TopicName, body: &[u8]) {
        let mut transaction = self.database.begin().await.unwrap();
        sqlx::query(
            "INSERT INTO aftercommit_tasks (seq, id, topic, task, state, due_at, enqueued_at, body) \
             VALUES ((SELECT 1000000 + count(*) FROM aftercommit_tasks), ?1, ?2, '', 0, ?3, ?3, ?4)",
        )
        .bind(self.services.ids.next())
        .bind(topic.as_str())
        .bind(self.services.clock.now().timestamp_micros())
        .bind(body)
        .execute(&mut *transaction)
        .await
        .unwrap();
        transaction.commit().await.unwrap();
        // What comes past the publisher wakes nobody.
        self.database.clock_changed();
    }

    async fn stop(self) {
        let closed = tokio::time::timeout(Duration::from_secs(20), self.database.close()).await;
        closed.unwrap().unwrap();
        self.directory.close().unwrap();
    }
}

aftercommit_testkit::outbox_conformance!(Sqlite);
aftercommit_testkit::unit_of_work_conformance!(Sqlite);
aftercommit_testkit::inbox_conformance!(Sqlite);
aftercommit_testkit::queue_conformance!(Sqlite);
aftercommit_testkit::coalescing_conformance!(Sqlite);
aftercommit_testkit::orders_conformance!(Sqlite);
aftercommit_testkit::event_log_conformance!(Sqlite);
aftercommit_testkit::dead_letters_conformance!(Sqlite);
aftercommit_testkit::bulk_runs_conformance!(Sqlite);
aftercommit_testkit::schedules_conformance!(Sqlite);
aftercommit_testkit::task_inspector_conformance!(Sqlite);
aftercommit_testkit::lineage_conformance!(Sqlite);
