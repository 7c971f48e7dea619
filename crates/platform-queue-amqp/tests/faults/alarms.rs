//! A broker that has run out of memory or of disk.

use std::time::{Duration, Instant};

use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{Broker, Outcome, PublishError, TaskInspector, TaskState};
use aftercommit_domain::time::{Clock, after};
use aftercommit_testkit::proxy::TcpProxy;
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};

use crate::rig::Rig;
use crate::support::{id_of, ids, next, ok, until, within};

/// So fast that nothing was waited for.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn while_memory_is_low_nothing_is_published_and_all_else_goes_on_over_the_same_connections() {
    let server = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let proxy = TcpProxy::start(server.address()).await.unwrap();
    let rig = Rig::start_on(&server, |options| {
        options.port = proxy.address().port();
        options.confirm_timeout = Duration::from_secs(6);
    })
    .await;
    let published = rig.publish_all(rig.messages().tasks(3)).await;
    let mut deliveries = rig.consume(1).await;
    let first = next(&mut deliveries).await;
    let connections = proxy.connections();

    server.memory_alarm(true).await;
    // The broker tells of it when it is published to.
    let unknown = rig.messages().task();
    let result = rig.publish_one(unknown.clone()).await;
    assert!(matches!(result, Err(PublishError::Unknown { .. })), "{result:?}");
    assert_eq!(rig.queue.trouble().as_deref(), Some("broker blocked: memory"));
    for _ in 0..4 {
        let started = Instant::now();
        let result = rig.publish_one(rig.messages().task()).await;
        let waited = started.elapsed();
        assert!(
            matches!(&result, Err(PublishError::Unavailable { reason }) if reason == "broker blocked: memory"),
            "{result:?}"
        );
        assert!(waited < AT_ONCE, "{waited:?}");
    }

    ok("an ack", first.ack(&Outcome::Completed)).await;
    let second = next(&mut deliveries).await;
    assert_eq!(id_of(&*second), published[1]);
    let failure = Failure::new("test.failed", ErrorClass::Retryable, "it did not work");
    let wait = Duration::from_secs(50);
    let started = Instant::now();
    ok("a retry", second.retry(wait, true, Some(&failure))).await;
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    let held = rig.store.find(published[1]).await.unwrap().expect("it is held");
    assert_eq!(held.summary.state, TaskState::Retryable);
    assert_eq!(held.summary.attempts, 1);
    assert_eq!(held.summary.due_at, Some(after(rig.services.clock.now(), wait)));
    let third = next(&mut deliveries).await;
    ok("an ack", third.ack(&Outcome::Completed)).await;

    server.memory_alarm(false).await;
    until("it to be published again", async || {
        rig.publish_one(rig.messages().task()).await.is_ok()
    })
    .await;
    assert_eq!(rig.queue.trouble(), None);
    assert_eq!(proxy.connections(), connections, "none was made anew");
    drop(deliveries);
    rig.queue.close().await;
    let there = rig.empty(&server.url(), &rig.letters()).await;
    assert!(
        ids(&there).contains(&unknown.id),
        "what was unknown came through afterwards"
    );
}

#[tokio::test]
async fn while_the_disk_is_full_it_is_said_and_closing_takes_seconds_only() {
    let server = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let rig = Rig::start_on(&server, |options| options.confirm_timeout = Duration::from_secs(6)).await;
    rig.publish_all(rig.messages().tasks(2)).await;
    let mut deliveries = rig.consume(1).await;
    let delivery = next(&mut deliveries).await;

    server.disk_alarm(true).await;
    let result = rig.publish_one(rig.messages().task()).await;
    assert!(matches!(result, Err(PublishError::Unknown { .. })), "{result:?}");
    assert_eq!(rig.queue.trouble().as_deref(), Some("broker blocked: disk"));

    deliveries.stop().await;
    ok("an ack", delivery.ack(&Outcome::Completed)).await;
    within(Duration::from_secs(10), "it to close", rig.queue.close()).await;
}
