//! Waits on the broker, in real time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{Outcome, Published, QueuePublisher};
use aftercommit_domain::time::{Clock, after};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};

use crate::rig::Rig;
use crate::support::{connected, id_of, next, ok, remember_its_queues, soon};

/// A wait is rounded up to a second; and a slow machine's share.
const LATE: Duration = Duration::from_secs(2);

fn in_seconds(rig: &Rig, wait: u64) -> TaskEnvelope {
    let due = after(rig.services.clock.now(), Duration::from_secs(wait));
    TaskEnvelope {
        not_before: Some(due),
        ..rig.messages().task()
    }
}

#[tokio::test]
async fn what_waits_comes_not_before_its_time_and_soon_after() {
    let rig = Rig::start(|_| {}).await;
    let mut deliveries = rig.consume(10).await;
    connected(&rig.queue).await;
    let tasks = [3, 1, 2].map(|wait| in_seconds(&rig, wait));
    let started = Instant::now();
    let published = soon("it to be published", rig.queue.publish(tasks.to_vec())).await;
    assert!(published.iter().all(Result::is_ok), "{published:?}");
    // The broker alone decides when.
    rig.services.clock.advance(Duration::from_hours(1));

    for (wait, task) in [(1, &tasks[1]), (2, &tasks[2]), (3, &tasks[0])] {
        let delivery = next(&mut deliveries).await;
        let waited = started.elapsed();
        assert_eq!(id_of(&*delivery), task.id);
        let expected = Duration::from_secs(wait)..Duration::from_secs(wait) + LATE;
        assert!(expected.contains(&waited), "{waited:?} instead of {wait} s");
        ok("an ack", delivery.ack(&Outcome::Completed)).await;
    }
    deliveries.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_retry_waits_on_the_broker_with_its_attempt() {
    let rig = Rig::start(|_| {}).await;
    let published = rig.publish_all(rig.messages().tasks(1)).await;
    let mut deliveries = rig.consume(10).await;
    let failure = Failure::new("test.failed", ErrorClass::Retryable, "it did not work");
    let first = next(&mut deliveries).await;
    let started = Instant::now();
    ok(
        "a retry",
        first.retry(Duration::from_millis(1500), true, Some(&failure)),
    )
    .await;
    let again = next(&mut deliveries).await;
    let waited = started.elapsed();
    assert_eq!(
        (id_of(&*again), again.attempt(), again.redelivered()),
        (published[0], 2, false)
    );
    let expected = Duration::from_millis(1500)..Duration::from_millis(1500) + LATE;
    assert!(expected.contains(&waited), "{waited:?}");
    ok("an ack", again.ack(&Outcome::Completed)).await;
    deliveries.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn what_waits_outlives_a_broker_that_is_killed_and_comes_not_before_its_time() {
    let server = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let rig = Rig::start_on(&server, |_| {}).await;
    rig.publish_all(rig.messages().tasks(1)).await;
    remember_its_queues(&server).await;
    let waits = [2, 4, 8, 12, 15];
    let mut waiting = HashMap::new();
    let started = Instant::now();
    for wait in waits.into_iter().flat_map(|wait| [wait; 4]) {
        let task = in_seconds(&rig, wait);
        let result = rig.publish_one(task.clone()).await;
        assert!(matches!(result, Ok(Published::Enqueued(_))), "{result:?}");
        waiting.insert(task.id, Duration::from_secs(wait));
    }
    rig.services.clock.advance(Duration::from_hours(1));
    server.kill().await;
    server.start_again().await;
    connected(&rig.queue).await;
    let back = Instant::now();

    let mut deliveries = rig.consume(100).await;
    while !waiting.is_empty() {
        let delivery = next(&mut deliveries).await;
        let waited = started.elapsed();
        // Any of them may come twice.
        if let Some(wait) = waiting.remove(&id_of(&*delivery)) {
            assert!(waited >= wait, "{waited:?} instead of {wait:?}");
        }
        ok("an ack", delivery.ack(&Outcome::Completed)).await;
    }
    // The last of them is due 15 s after it was published; a slow machine may have been starting its broker for longer.
    let after = back.elapsed();
    assert!(after < Duration::from_secs(15 + 15), "{after:?}");
    deliveries.stop().await;
    rig.queue.close().await;
}
