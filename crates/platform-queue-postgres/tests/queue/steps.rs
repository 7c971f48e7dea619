//! Short ways to do usual things.

use std::time::Duration;

use aftercommit_domain::contract::{Limits, TaskEnvelope, TopicName, WorkerName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    ConsumeOptions, Deliveries, Delivery, Published, QueueConsumer as _, QueuePublisher as _,
};
use aftercommit_platform_db_postgres::PostgresOptions;
use aftercommit_platform_queue_postgres::PostgresQueueOptions;
use aftercommit_testkit::conformance::Messages;
use aftercommit_testkit::conformance::support::{LEASE, ok, soon};

use crate::rig::{Process, Rig};

/// The topic of the messages.
pub(crate) const TOPIC: TopicName = TopicName::constant("letters");

impl Rig {
    pub(crate) fn messages(&self) -> Messages<'_> {
        Messages::new(&self.services)
    }

    /// Another process on the same database.
    pub(crate) async fn another(&self, seed: u64) -> Process {
        let options = PostgresOptions::new(self.store.url());
        Process::start_with(options, &self.services, seed, PostgresQueueOptions::default()).await
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.pool()).await.unwrap()
    }
}

impl Process {
    pub(crate) async fn publish(&self, tasks: Vec<TaskEnvelope>) -> Vec<MessageId> {
        let ids: Vec<MessageId> = tasks.iter().map(|task| task.id).collect();
        for (result, id) in soon("tasks to be published", self.queue.publish(tasks))
            .await
            .iter()
            .zip(&ids)
        {
            assert!(
                matches!(result, Ok(Published::Enqueued(new)) if new == id),
                "{result:?}"
            );
        }
        ids
    }

    pub(crate) async fn consume(&self, prefetch: usize) -> Box<dyn Deliveries> {
        self.consume_with_lease(prefetch, LEASE).await
    }

    pub(crate) async fn consume_with_lease(&self, prefetch: usize, lease: Duration) -> Box<dyn Deliveries> {
        let options = ConsumeOptions {
            worker: WorkerName::constant("test"),
            prefetch,
            lease,
        };
        ok("a consumer to start", self.queue.consume(&TOPIC, options)).await
    }
}

pub(crate) fn id_of(delivery: &dyn Delivery) -> MessageId {
    let task = TaskEnvelope::decode(&delivery.task().body, &Limits::default());
    task.unwrap().id
}

pub(crate) fn envelope_of(delivery: &dyn Delivery) -> TaskEnvelope {
    TaskEnvelope::decode(&delivery.task().body, &Limits::default()).unwrap()
}
