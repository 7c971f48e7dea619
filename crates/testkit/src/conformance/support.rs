//! What the scenarios share: deadlines that say what was awaited, and short ways to do usual things.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use aftercommit_domain::contract::{Cause, Limits, TaskEnvelope, Tenant, TopicName, WorkerName};
use aftercommit_domain::events::{Claimed, Outbox, OutboxMessage, OutboxStats};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{ConsumeOptions, Deliveries, Delivery, Published};
use aftercommit_domain::time::seconds;
use aftercommit_domain::unit_of_work::UnitOfWork;

use crate::conformance::Provider;

/// What must happen happens within this.
pub const SOON: Duration = Duration::from_secs(10);
/// What must not happen is looked for this long.
pub const QUIET: Duration = Duration::from_millis(100);
/// The lease of everything that is taken, in the provider's time.
pub const LEASE: Duration = Duration::from_secs(30);
/// A time after which every lease of [`LEASE`] is over.
pub const PAST_LEASE: Duration = Duration::from_secs(31);

/// The result of `future`, or a failed test that says what was awaited.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(SOON, future).await else {
        panic!("waited {SOON:?} for {what}");
    };
    value
}

/// The value of a call that must succeed.
pub async fn ok<T, E: Debug>(what: &str, future: impl Future<Output = Result<T, E>>) -> T {
    match soon(what, future).await {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:?}"),
    }
}

/// Begins a unit of work of `tenant`.
pub async fn begin<P: Provider>(provider: &P, tenant: &Tenant) -> Box<dyn UnitOfWork> {
    let factory = provider.units_of_work();
    ok("a unit of work to begin", factory.begin(tenant, &Cause::root())).await
}

/// Adds `messages` to a unit of work.
pub async fn append(unit_of_work: &mut Box<dyn UnitOfWork>, messages: Vec<OutboxMessage>) {
    let expected: Vec<MessageId> = messages.iter().map(OutboxMessage::id).collect();
    let ids = ok("messages to be appended", unit_of_work.outbox().append(messages)).await;
    assert_eq!(ids, expected, "append answers the ids in input order");
}

/// Commits `messages` of one tenant in one transaction.
pub async fn commit<P: Provider>(provider: &P, messages: Vec<OutboxMessage>) {
    let tenant = messages
        .first()
        .map_or(Tenant::System, |message| message.tenant().clone());
    let mut unit_of_work = begin(provider, &tenant).await;
    append(&mut unit_of_work, messages).await;
    ok("a unit of work to commit", unit_of_work.commit()).await;
}

/// Claims rows, and checks that those of one order come in write order. Answers all in write order, because the order
/// between aggregates is no promise.
pub async fn claim(outbox: &dyn Outbox, limit: usize) -> Vec<Claimed> {
    let mut claimed = ok("rows to be claimed", outbox.claim(limit, LEASE)).await;
    assert!(claimed.len() <= limit, "at most {limit} rows are claimed");
    let mut last: HashMap<String, i64> = HashMap::new();
    for row in &claimed {
        let Some(ordering) = message_of(row).ordering() else {
            continue;
        };
        let position = row.claim.position;
        let before = last.insert(ordering, position);
        assert!(
            before < Some(position),
            "rows of one order are handed out in write order"
        );
    }
    claimed.sort_by_key(|row| row.claim.position);
    claimed
}

/// The message in a claimed row.
pub fn message_of(row: &Claimed) -> OutboxMessage {
    let message = OutboxMessage::from_raw(&row.message, &Limits::default());
    message.expect("a claimed row holds the message that was written")
}

/// The id of the message in a claimed row.
pub fn id_of(row: &Claimed) -> MessageId {
    message_of(row).id()
}

/// The ids of the messages in claimed rows.
pub fn ids_of(claimed: &[Claimed]) -> Vec<MessageId> {
    claimed.iter().map(id_of).collect()
}

/// The outbox's numbers.
pub async fn stats(outbox: &dyn Outbox) -> OutboxStats {
    ok("the outbox's numbers", outbox.stats()).await
}

/// A failure that can be tried again.
pub fn failure() -> Failure {
    Failure::new("test.failed", ErrorClass::Retryable, "it did not work")
}

/// Publishes tasks that must all be new.
pub async fn publish<P: Provider>(provider: &P, tasks: Vec<TaskEnvelope>) -> Vec<MessageId> {
    let ids: Vec<MessageId> = tasks.iter().map(|task| task.id).collect();
    let results = soon("tasks to be published", provider.queue_publisher().publish(tasks)).await;
    assert_eq!(results.len(), ids.len(), "one result for each task");
    for (result, id) in results.iter().zip(&ids) {
        assert!(
            matches!(result, Ok(Published::Enqueued(enqueued)) if enqueued == id),
            "{id} is enqueued, got {result:?}"
        );
    }
    ids
}

/// Starts taking tasks.
pub async fn consume<P: Provider>(provider: &P, topic: &TopicName, prefetch: usize) -> Box<dyn Deliveries> {
    consume_with_lease(provider, topic, prefetch, LEASE).await
}

/// Starts taking tasks with a lease of the scenario's own.
pub async fn consume_with_lease<P: Provider>(
    provider: &P,
    topic: &TopicName,
    prefetch: usize,
    lease: Duration,
) -> Box<dyn Deliveries> {
    let options = ConsumeOptions {
        worker: WorkerName::constant("conformance"),
        prefetch,
        lease,
    };
    ok("a consumer to start", provider.queue_consumer().consume(topic, options)).await
}

/// The next delivery, which must come soon.
pub async fn next(deliveries: &mut Box<dyn Deliveries>, what: &str) -> Box<dyn Delivery> {
    let delivery = ok(what, deliveries.next()).await;
    delivery.unwrap_or_else(|| panic!("{what}: the consumer ended although it was not stopped"))
}

/// The next `count` deliveries.
pub async fn take(deliveries: &mut Box<dyn Deliveries>, count: usize) -> Vec<Box<dyn Delivery>> {
    let mut taken = Vec::with_capacity(count);
    for number in 1..=count {
        taken.push(next(deliveries, &format!("task {number} of {count}")).await);
    }
    taken
}

/// Nothing is delivered for a short while.
pub async fn nothing_comes(deliveries: &mut Box<dyn Deliveries>, why: &str) {
    nothing_comes_within(deliveries, QUIET, why).await;
}

/// Nothing is delivered for this long.
pub async fn nothing_comes_within(deliveries: &mut Box<dyn Deliveries>, time: Duration, why: &str) {
    if let Ok(next) = tokio::time::timeout(time, deliveries.next()).await {
        let what = next.map(|delivery| delivery.map(|delivery| task_id(&*delivery)));
        panic!("nothing may come: {why}; got {what:?}");
    }
}

/// The id of a delivered task.
pub fn task_id(delivery: &dyn Delivery) -> MessageId {
    envelope(delivery).id
}

/// The envelope of a delivered task.
pub fn envelope(delivery: &dyn Delivery) -> TaskEnvelope {
    let task = TaskEnvelope::decode(&delivery.task().body, &Limits::default());
    task.expect("a delivery holds the envelope that was published")
}

/// The provider frees what was lost. Answers how many tasks.
pub async fn rescue<P: Provider>(provider: &P) -> u64 {
    ok(
        "lost tasks to be rescued",
        provider.queue_maintenance().rescue_expired(),
    )
    .await
}

/// Lets every lease end and frees what was held.
pub async fn lose_leases<P: Provider>(provider: &P) {
    provider.advance(PAST_LEASE).await;
    rescue(provider).await;
}

/// A delay that is long for a test and that the queue can carry.
pub fn long_delay<P: Provider>(provider: &P) -> Duration {
    provider
        .queue_publisher()
        .capabilities()
        .longest_delay
        .min(seconds(3600))
}
