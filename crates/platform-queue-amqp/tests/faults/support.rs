//! What the tests share: deadlines that say what was awaited, and short ways to do usual things.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use aftercommit_domain::contract::{Json, Limits, TaskEnvelope, WorkerName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    ConsumeOptions, Deliveries, Delivery, PublishError, Published, QueueConsumer, QueuePublisher,
};
use aftercommit_platform_queue_amqp::{AmqpOptions, AmqpQueue};
use aftercommit_testkit::conformance::Messages;
use aftercommit_testkit::rabbitmq_server::RabbitMqServer;
use lapin::options::BasicGetOptions;
use lapin::{Connection, ConnectionProperties};
use tokio::time::{interval, timeout};

use crate::rig::{LETTERS, Rig, queue};

/// What must happen happens within this.
const SOON: Duration = Duration::from_mins(1);
/// How often it is asked whether something has happened.
const GLANCE: Duration = Duration::from_millis(20);

/// The result of one publish.
pub(crate) type Answer = Result<Published, PublishError>;

/// The result of `future`, or a failed test that says what was awaited.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    within(SOON, what, future).await
}

/// The same, with a deadline of the test's own.
pub(crate) async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = timeout(limit, future).await else {
        panic!("waited {limit:?} for {what}");
    };
    value
}

/// Asks again and again until it is so.
pub(crate) async fn until(what: &str, is_so: impl AsyncFnMut() -> bool) {
    until_within(SOON, what, is_so).await;
}

/// The same, with a deadline of the test's own.
pub(crate) async fn until_within(limit: Duration, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        let mut glance = interval(GLANCE);
        loop {
            glance.tick().await;
            if is_so().await {
                return;
            }
        }
    };
    within(limit, what, asking).await;
}

impl Rig {
    pub(crate) fn messages(&self) -> Messages<'_> {
        Messages::new(&self.services)
    }

    /// The queue of the usual topic.
    pub(crate) fn letters(&self) -> String {
        self.name(&format!("topic.{LETTERS}"))
    }

    /// A task whose payload is a text.
    pub(crate) fn task_with(&self, text: &str) -> TaskEnvelope {
        let payload = Json::parse(format!("\"{text}\""), &Limits::default()).unwrap();
        TaskEnvelope {
            payload,
            ..self.messages().task()
        }
    }

    /// The queue of another process.
    pub(crate) fn another(&self) -> AmqpQueue {
        queue(&self.options, &self.services, &self.store)
    }

    /// That of another process which is set up in another way.
    pub(crate) fn another_with(&self, change: impl FnOnce(&mut AmqpOptions)) -> AmqpQueue {
        let mut options = self.options.clone();
        change(&mut options);
        queue(&options, &self.services, &self.store)
    }

    /// Publishes tasks that must all be taken, on a link that may just be coming up.
    pub(crate) async fn publish_all(&self, tasks: Vec<TaskEnvelope>) -> Vec<MessageId> {
        connected(&self.queue).await;
        let results = soon("tasks to be published", self.queue.publish(tasks)).await;
        let ids = results.into_iter().map(|result| match result {
            Ok(Published::Enqueued(id)) => id,
            other => panic!("{other:?}"),
        });
        ids.collect()
    }

    /// Publishes one task.
    pub(crate) async fn publish_one(&self, task: TaskEnvelope) -> Answer {
        publish_one(&self.queue, task).await
    }

    pub(crate) async fn consume(&self, prefetch: usize) -> Box<dyn Deliveries> {
        consume(&self.queue, prefetch).await
    }

    /// Takes everything out of a queue, past the library.
    pub(crate) async fn empty(&self, url: &str, queue: &str) -> Vec<TaskEnvelope> {
        let connection = soon(
            "a connection",
            Connection::connect(url, ConnectionProperties::default()),
        );
        let connection = connection.await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let mut taken = Vec::new();
        loop {
            let getting = channel.basic_get(queue.into(), BasicGetOptions { no_ack: true });
            let Some(message) = soon("a message", getting).await.unwrap() else {
                break;
            };
            taken.push(TaskEnvelope::decode(&message.delivery.data, &Limits::default()).unwrap());
        }
        let _ = connection.close(200, "OK".into()).await;
        taken
    }
}

/// Waits until both connections are there and the broker takes messages.
pub(crate) async fn connected(queue: &AmqpQueue) {
    use aftercommit_domain::tasks::Broker;
    until("the connections", async || queue.trouble().is_none()).await;
}

pub(crate) async fn publish_one(queue: &AmqpQueue, task: TaskEnvelope) -> Answer {
    let results = soon("a task to be published", queue.publish(vec![task])).await;
    let [result] = <[Answer; 1]>::try_from(results).unwrap();
    result
}

/// A broker writes down a little later where a queue is that is new, and when it is killed before, it has forgotten all that
/// is in it. Returns when it is written down.
pub(crate) async fn remember_its_queues(server: &RabbitMqServer) {
    assert_eq!(server.eval("dets:sync(ra_directory_reverse).").await.trim(), "ok");
}

pub(crate) fn options(prefetch: usize) -> ConsumeOptions {
    ConsumeOptions {
        worker: WorkerName::constant("test"),
        prefetch,
        lease: Duration::from_secs(30),
    }
}

/// Consumes the usual topic.
pub(crate) async fn consume(queue: &AmqpQueue, prefetch: usize) -> Box<dyn Deliveries> {
    ok("to consume", queue.consume(&LETTERS, options(prefetch))).await
}

/// The value of a call that must succeed.
pub(crate) async fn ok<T, E: Debug>(what: &str, future: impl Future<Output = Result<T, E>>) -> T {
    match soon(what, future).await {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:?}"),
    }
}

pub(crate) async fn next(deliveries: &mut Box<dyn Deliveries>) -> Box<dyn Delivery> {
    ok("the next task", deliveries.next()).await.expect("it is not stopped")
}

pub(crate) fn id_of(delivery: &dyn Delivery) -> MessageId {
    let task = TaskEnvelope::decode(&delivery.task().body, &Limits::default());
    task.unwrap().id
}

pub(crate) fn ids(tasks: &[TaskEnvelope]) -> BTreeSet<MessageId> {
    tasks.iter().map(|task| task.id).collect()
}
