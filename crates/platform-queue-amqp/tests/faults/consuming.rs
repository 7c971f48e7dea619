//! Consumers whose queue, channel or connection is gone, and what is settled then.

use std::time::Duration;

use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Broker, Deliveries, Outcome, QueueConsumer, SettleError, TaskInspector, TaskState};
use aftercommit_domain::time::{Clock, after};
use aftercommit_testkit::proxy::{AmqpFrame, AmqpProxy, Arrivals};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use lapin::options::QueueDeleteOptions;

use crate::rig::{LETTERS, Rig};
use crate::support::{connected, consume, id_of, next, ok, options, soon, until, within};

/// Back after what it waits for is there: within 5 s, and what a machine takes for it that is busy with other tests.
const BACK: Duration = Duration::from_secs(20);

/// A rig whose connections go through a proxy.
async fn behind_a_proxy() -> (AmqpProxy, Rig) {
    let server = RabbitMqServer::shared().await;
    let proxy = AmqpProxy::start(server.address()).await.unwrap();
    let port = proxy.address().port();
    let rig = Rig::start(|options| options.port = port).await;
    (proxy, rig)
}

fn failure() -> Failure {
    Failure::new("test.failed", ErrorClass::Retryable, "it did not work")
}

async fn state_of(rig: &Rig, id: MessageId) -> Option<TaskState> {
    let found = rig.store.find(id).await.unwrap();
    found.map(|task| task.summary.state)
}

/// Consumes anew after the connection was lost, which may not have been noticed yet.
async fn consume_again(rig: &Rig, prefetch: usize) -> Box<dyn Deliveries> {
    let trying = async {
        loop {
            if let Ok(deliveries) = rig.queue.consume(&LETTERS, options(prefetch)).await {
                return deliveries;
            }
        }
    };
    let deliveries = within(BACK, "to consume", trying).await;
    within(BACK, "the connections", connected(&rig.queue)).await;
    deliveries
}

#[tokio::test]
async fn a_consumer_whose_queue_is_deleted_ends_with_an_error_and_the_next_one_has_a_queue() {
    let rig = Rig::start(|_| {}).await;
    rig.publish_all(rig.messages().tasks(1)).await;
    let mut deliveries = rig.consume(10).await;
    ok("an ack", next(&mut deliveries).await.ack(&Outcome::Completed)).await;
    let deleting = rig.channel().await;
    let deleting = deleting.queue_delete(rig.letters().as_str().into(), QueueDeleteOptions::default());
    ok("to delete a queue", deleting).await;

    assert!(soon("the consumer to end", deliveries.next()).await.is_err());
    // At the first try.
    let mut deliveries = within(BACK, "to consume", rig.consume(10)).await;
    let ids = rig.publish_all(rig.messages().tasks(1)).await;
    let delivery = next(&mut deliveries).await;
    assert_eq!(id_of(&*delivery), ids[0]);
    ok("an ack", delivery.ack(&Outcome::Completed)).await;
    deliveries.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn after_a_connection_is_lost_nothing_of_it_is_handed_out_and_settling_is_stale_and_changes_nothing() {
    let (proxy, rig) = behind_a_proxy().await;
    let mut published = rig.publish_all(rig.messages().tasks(5)).await;
    let mut deliveries = rig.consume(10).await;
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(next(&mut deliveries).await);
    }
    // With the ack of another one the consuming connection is lost, and not made again.
    proxy.tcp().set_arrivals(Arrivals::Cut);
    let cut = proxy.cut_after(AmqpFrame::consumer_ack(), 1);
    let acked = next(&mut deliveries).await;
    let acked_id = id_of(&*acked);
    published.retain(|id| *id != acked_id);
    ok("an ack", acked.ack(&Outcome::Completed)).await;
    cut.happened().await;
    until("the loss to be noticed", async || rig.queue.trouble().is_some()).await;
    // The fifth was fetched ahead.
    assert!(soon("an answer", deliveries.next()).await.is_err());

    let [first, second, third] = <[_; 3]>::try_from(taken).ok().unwrap();
    let settled = [
        soon("an answer", first.ack(&Outcome::Completed)).await,
        soon(
            "an answer",
            second.retry(Duration::from_mins(1), true, Some(&failure())),
        )
        .await,
        soon("an answer", third.dead_letter(&failure())).await,
    ];
    for result in settled {
        assert!(matches!(result, Err(SettleError::Stale)), "{result:?}");
    }
    for id in &published {
        assert_eq!(state_of(&rig, *id).await, None, "nothing was written of it");
    }

    proxy.tcp().set_arrivals(Arrivals::Forward);
    let mut deliveries = consume_again(&rig, 10).await;
    let mut again = Vec::new();
    while again.len() < published.len() {
        let delivery = next(&mut deliveries).await;
        assert_eq!(delivery.attempt(), 1);
        if id_of(&*delivery) == acked_id {
            // A broker answers no ack: it may have lost the connection before it had read this one.
            assert!(delivery.redelivered());
        } else {
            again.push(id_of(&*delivery));
        }
        ok("an ack", delivery.ack(&Outcome::Completed)).await;
    }
    again.sort_unstable();
    published.sort_unstable();
    assert_eq!(again, published);
    deliveries.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_lost_connection_is_noticed_by_who_waits_for_room() {
    let (proxy, rig) = behind_a_proxy().await;
    rig.publish_all(rig.messages().tasks(2)).await;
    let mut deliveries = rig.consume(1).await;
    let running = next(&mut deliveries).await;
    proxy.tcp().cut();
    assert!(soon("the consumer to end", deliveries.next()).await.is_err());
    let result = soon("an answer", running.give_back()).await;
    assert!(matches!(result, Err(SettleError::Stale)), "{result:?}");
    rig.stop().await;
}

#[tokio::test]
async fn a_task_whose_ack_arrived_is_not_run_again_though_the_connection_is_lost() {
    let (proxy, rig) = behind_a_proxy().await;
    let published = rig.publish_all(rig.messages().tasks(1)).await;
    let mut deliveries = rig.consume(10).await;
    let cut = proxy.cut_after(AmqpFrame::consumer_ack(), 1);
    ok("an ack", next(&mut deliveries).await.ack(&Outcome::Completed)).await;
    cut.happened().await;
    assert!(soon("the consumer to end", deliveries.next()).await.is_err());

    let mut deliveries = consume_again(&rig, 10).await;
    let marker = rig.publish_all(rig.messages().tasks(1)).await;
    let delivery = next(&mut deliveries).await;
    assert_eq!(id_of(&*delivery), marker[0], "nothing came before it");
    ok("an ack", delivery.ack(&Outcome::Completed)).await;
    assert_eq!(state_of(&rig, published[0]).await, Some(TaskState::Completed));
    deliveries.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_task_whose_ack_was_lost_comes_again_from_the_database_and_stays_there_whatever_becomes_of_the_broker() {
    let (proxy, rig) = behind_a_proxy().await;
    let published = rig.publish_all(rig.messages().tasks(1)).await;
    let mut deliveries = rig.consume(10).await;
    let lost = proxy.swallow(AmqpFrame::consumer_ack(), 1);
    let first = next(&mut deliveries).await;
    assert!(!first.redelivered());
    ok("an ack", first.ack(&Outcome::Completed)).await;
    lost.happened().await;
    proxy.tcp().cut();
    assert!(soon("the consumer to end", deliveries.next()).await.is_err());

    // The connection is lost again when the broker has heard that the database has the task.
    let cut = proxy.cut_after(AmqpFrame::consumer_ack(), 1);
    let mut deliveries = consume_again(&rig, 10).await;
    // Whether it is handed out before or after the consumer sees that is left open.
    let handed_out = soon("the task, or the end of the consumer", deliveries.next()).await;
    let again = if let Ok(Some(again)) = handed_out {
        again
    } else {
        deliveries = consume_again(&rig, 10).await;
        next(&mut deliveries).await
    };
    cut.happened().await;
    assert_eq!(id_of(&*again), published[0]);
    assert!(again.redelivered());
    assert_eq!(
        state_of(&rig, published[0]).await,
        Some(TaskState::Running),
        "the database has it"
    );

    ok(
        "an ack, which is none of the broker's business",
        again.ack(&Outcome::Completed),
    )
    .await;
    let mut deliveries = consume_again(&rig, 10).await;
    let marker = rig.publish_all(rig.messages().tasks(1)).await;
    assert_eq!(
        id_of(&*next(&mut deliveries).await),
        marker[0],
        "nothing came before it"
    );
    deliveries.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_retry_while_nothing_can_be_published_is_held_with_its_attempt_and_its_wait() {
    let (proxy, rig) = behind_a_proxy().await;
    let published = rig.publish_all(rig.messages().tasks(1)).await;
    let mut deliveries = rig.consume(10).await;
    let running = next(&mut deliveries).await;
    // The publishing connection is lost with the retry, and not made again; the consuming one stays.
    proxy.tcp().set_arrivals(Arrivals::Cut);
    let cut = proxy.lose(AmqpFrame::publish(), 1);
    let wait = Duration::from_secs(50);
    ok("a retry", running.retry(wait, true, Some(&failure()))).await;
    cut.happened().await;

    let held = rig.store.find(published[0]).await.unwrap().expect("it is held");
    assert_eq!(held.summary.state, TaskState::Retryable);
    assert_eq!(held.summary.attempts, 1);
    assert_eq!(held.summary.due_at, Some(after(rig.services.clock.now(), wait)));
    rig.services.clock.advance(wait);
    let again = next(&mut deliveries).await;
    assert_eq!((id_of(&*again), again.attempt()), (published[0], 2));
    ok("an ack", again.ack(&Outcome::Completed)).await;
    proxy.tcp().set_arrivals(Arrivals::Forward);
    deliveries.stop().await;
    within(BACK, "the connections", connected(&rig.queue)).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_task_that_runs_longer_than_the_broker_waits_comes_again_as_one_that_may_have_been_lost() {
    let server = RabbitMqServer::start(RabbitMqOptions::default()).await;
    // It looks once a minute otherwise, at channels that are opened later.
    for setting in ["channel_tick_interval, 500", "consumer_timeout, 1000"] {
        server.eval(&format!("application:set_env(rabbit, {setting}).")).await;
    }
    let rig = Rig::start_on(&server, |_| {}).await;
    let published = rig.publish_all(rig.messages().tasks(1)).await;
    let mut deliveries = rig.consume(10).await;
    let running = next(&mut deliveries).await;
    let ended = soon("the consumer to end", deliveries.next()).await;
    let Err(error) = ended else { panic!("it goes on") };
    assert!(error.to_string().contains("timeout"), "{error}");
    let result = soon("an answer", running.ack(&Outcome::Completed)).await;
    assert!(matches!(result, Err(SettleError::Stale)), "{result:?}");

    let mut deliveries = consume(&rig.queue, 10).await;
    let again = next(&mut deliveries).await;
    assert_eq!(id_of(&*again), published[0]);
    assert!(again.redelivered());
    ok("an ack", again.ack(&Outcome::Completed)).await;
    rig.queue.close().await;
}
