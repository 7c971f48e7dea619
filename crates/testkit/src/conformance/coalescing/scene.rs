//! Publishes of numbered payloads at times, and what runs.

use std::time::Duration;

use aftercommit_domain::contract::{Json, Limits, TaskEnvelope};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Coalesced, Coalescing, Deliveries, Delivery, Outcome, Published};

use crate::conformance::messages::TOPIC;
use crate::conformance::support::{consume, envelope, next, nothing_comes, ok, soon};
use crate::conformance::{Messages, Provider};

/// A provider, a consumer, and how far its time has gone.
pub(super) struct Scene<'p, P> {
    pub(super) provider: &'p P,
    pub(super) deliveries: Box<dyn Deliveries>,
    at: Duration,
}

impl<'p, P: Provider> Scene<'p, P> {
    pub(super) async fn begin(provider: &'p P) -> Self {
        Self {
            provider,
            deliveries: consume(provider, &TOPIC, 10).await,
            at: Duration::ZERO,
        }
    }

    /// Lets time go on to this many milliseconds from the beginning.
    pub(super) async fn at(&mut self, millis: u64) {
        let then = Duration::from_millis(millis);
        self.provider.advance(then.saturating_sub(self.at)).await;
        self.at = then;
    }

    /// A task with this number as its payload.
    pub(super) fn task(&self, number: u32, coalescing: Coalescing) -> TaskEnvelope {
        let mut task = Messages::new(self.provider.services()).task();
        let payload = Json::parse(format!(r#"{{"letter":{number}}}"#), &Limits::default());
        task.payload = payload.expect("a small payload is within the limits");
        task.coalescing = Some(coalescing);
        task
    }

    pub(super) async fn publish(&self, number: u32, coalescing: Coalescing) -> Published {
        self.publish_task(self.task(number, coalescing)).await
    }

    pub(super) async fn publish_task(&self, task: TaskEnvelope) -> Published {
        let mut results = self.publish_all(vec![task]).await;
        results.pop().expect("one answer for each task")
    }

    pub(super) async fn publish_all(&self, tasks: Vec<TaskEnvelope>) -> Vec<Published> {
        let results = soon("tasks to be published", self.provider.queue_publisher().publish(tasks)).await;
        let published: Result<Vec<_>, _> = results.into_iter().collect();
        published.expect("tasks are published")
    }

    /// The next task, which must be of this number.
    pub(super) async fn take(&mut self, number: u32) -> Box<dyn Delivery> {
        let delivery = next(&mut self.deliveries, &format!("task {number}")).await;
        assert_eq!(number_of(&*delivery), number, "after {:?}", self.at);
        delivery
    }

    /// The next task must be of this number; it is done.
    pub(super) async fn runs(&mut self, number: u32) {
        let delivery = self.take(number).await;
        ok("it to be acked", delivery.ack(&Outcome::Completed)).await;
    }

    pub(super) async fn nothing_runs(&mut self) {
        let why = format!("after {:?}", self.at);
        nothing_comes(&mut self.deliveries, &why).await;
    }
}

pub(super) fn number_of(delivery: &dyn Delivery) -> u32 {
    let payload = envelope(delivery).payload;
    let digits: String = payload.as_str().chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("the payload of a scenario is a number")
}

pub(super) fn enqueued(published: Published) -> MessageId {
    match published {
        Published::Enqueued(id) => id,
        other => panic!("it is a task of its own, got {other:?}"),
    }
}

pub(super) fn dropped_into(published: Published) -> MessageId {
    match published {
        Published::Coalesced {
            into,
            why: Coalesced::Dropped,
        } => into,
        other => panic!("it is dropped, got {other:?}"),
    }
}

/// Answers the task it replaced and its own id.
pub(super) fn replaced(published: Published) -> (MessageId, MessageId) {
    match published {
        Published::Coalesced {
            into,
            why: Coalesced::Replaced(replaced),
        } => (replaced, into),
        other => panic!("it replaces another, got {other:?}"),
    }
}
