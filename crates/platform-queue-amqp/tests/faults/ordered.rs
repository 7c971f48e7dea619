//! The order of a key when its consumer is lost, replaced or stopped.

use std::time::Duration;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{Deliveries, Outcome, QueuePublisher, SettleError};
use aftercommit_platform_queue_amqp::AmqpOptions;
use aftercommit_testkit::proxy::{AmqpProxy, Arrivals};
use aftercommit_testkit::rabbitmq_server::RabbitMqServer;
use tokio::time::timeout;

use crate::rig::{LETTERS, Rig};
use crate::support::{connected, consume, id_of, next, ok, soon, until};

/// What must not happen is looked for this long.
const QUIET: Duration = Duration::from_millis(200);

async fn partitioned(change: impl FnOnce(&mut AmqpOptions)) -> Rig {
    Rig::start(|options| {
        options.ordered_topics = vec![LETTERS];
        change(options);
    })
    .await
}

/// Waits until so many consumers are on each of the four partitions, of which one of each is given tasks.
async fn consumers(rig: &Rig, count: usize) {
    let server = RabbitMqServer::shared().await;
    let partition = rig.name("topic.");
    until("consumers to be there", async || {
        let listed = server.ctl(&["list_consumers", "queue_name"]).await;
        listed.lines().filter(|line| line.starts_with(&partition)).count() == 4 * count
    })
    .await;
}

async fn nothing_comes(deliveries: &mut Box<dyn Deliveries>) {
    assert!(timeout(QUIET, deliveries.next()).await.is_err(), "it has to wait");
}

#[tokio::test]
async fn the_first_runs_of_a_key_keep_their_order_when_the_consumer_is_lost_while_its_head_runs() {
    let server = RabbitMqServer::shared().await;
    let proxy = AmqpProxy::start(server.address()).await.unwrap();
    let rig = partitioned(|options| options.port = proxy.address().port()).await;
    let tasks: Vec<TaskEnvelope> = (0..6).map(|_| rig.messages().ordered_task("a")).collect();
    let published = rig.publish_all(tasks[..4].to_vec()).await;
    let mut of_the_lost = rig.consume(10).await;
    let head = next(&mut of_the_lost).await;
    assert_eq!(id_of(&*head), published[0]);

    let other = rig.another_with(|options| options.port = server.port());
    connected(&other).await;
    let mut deliveries = consume(&other, 10).await;
    consumers(&rig, 2).await;
    nothing_comes(&mut deliveries).await;
    proxy.tcp().set_arrivals(Arrivals::Cut);
    proxy.tcp().cut();
    assert!(soon("the consumer to end", of_the_lost.next()).await.is_err());
    let results = soon("two more", other.publish(tasks[4..].to_vec())).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");

    let mut run = Vec::new();
    for _ in 0..6 {
        let delivery = next(&mut deliveries).await;
        nothing_comes(&mut deliveries).await;
        run.push(id_of(&*delivery));
        ok("an ack", delivery.ack(&Outcome::Completed)).await;
    }
    let expected: Vec<_> = tasks.iter().map(|task| task.id).collect();
    assert_eq!(run, expected);
    let result = soon("an answer", head.ack(&Outcome::Completed)).await;
    assert!(matches!(result, Err(SettleError::Stale)), "{result:?}");
    proxy.tcp().set_arrivals(Arrivals::Forward);
    deliveries.stop().await;
    other.close().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_new_consumer_asks_what_an_earlier_one_left_in_the_database_before_it_runs_a_key() {
    let rig = partitioned(|options| options.partitions = 1).await;
    let published = rig.publish_all(vec![rig.messages().ordered_task("a")]).await;
    let mut earlier = rig.consume(10).await;
    let failure = Failure::new("test.failed", ErrorClass::Retryable, "it did not work");
    let wait = Duration::from_mins(1);
    let head = next(&mut earlier).await;
    ok("a retry", head.retry(wait, true, Some(&failure))).await;
    earlier.stop().await;

    let follower = rig.publish_all(vec![rig.messages().ordered_task("a")]).await;
    let of_another_key = rig.publish_all(vec![rig.messages().ordered_task("b")]).await;
    let other = rig.another();
    let mut deliveries = consume(&other, 10).await;
    let delivery = next(&mut deliveries).await;
    assert_eq!(id_of(&*delivery), of_another_key[0], "which came later");
    ok("an ack", delivery.ack(&Outcome::Completed)).await;
    nothing_comes(&mut deliveries).await;

    rig.services.clock.advance(wait);
    for id in [published[0], follower[0]] {
        let delivery = next(&mut deliveries).await;
        assert_eq!(id_of(&*delivery), id);
        ok("an ack", delivery.ack(&Outcome::Completed)).await;
    }
    deliveries.stop().await;
    other.close().await;
    rig.stop().await;
}

#[tokio::test]
async fn the_next_consumer_takes_over_only_when_the_last_task_of_a_stopped_one_is_settled() {
    let rig = partitioned(|_| {}).await;
    let tasks = (0..3).map(|_| rig.messages().ordered_task("a")).collect();
    let published = rig.publish_all(tasks).await;
    // What follows is still with the broker.
    let mut stopped = rig.consume(1).await;
    let head = next(&mut stopped).await;
    let other = rig.another();
    connected(&other).await;
    let mut deliveries = consume(&other, 10).await;
    consumers(&rig, 2).await;

    soon("it to stop", stopped.stop()).await;
    assert!(soon("an answer", stopped.next()).await.unwrap().is_none());
    nothing_comes(&mut deliveries).await;
    assert_eq!(id_of(&*head), published[0]);
    ok("an ack", head.ack(&Outcome::Completed)).await;
    for id in &published[1..] {
        let delivery = next(&mut deliveries).await;
        assert_eq!(id_of(&*delivery), *id);
        ok("an ack", delivery.ack(&Outcome::Completed)).await;
    }
    deliveries.stop().await;
    other.close().await;
    rig.stop().await;
}
