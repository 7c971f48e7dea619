//! What the broker returns, refuses or closes a channel for.

use std::collections::BTreeSet;
use std::time::Duration;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::tasks::{Broker, PublishError, QueuePublisher};
use aftercommit_domain::time::{Clock, after};
use aftercommit_testkit::proxy::{AmqpFrame, AmqpProxy};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use futures::future::{join, join_all};
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};

use crate::rig::{LETTERS, PARCELS, Rig};
use crate::support::{connected, ids, ok, publish_one, soon, until};

/// A topic that has no queue.
const NOWHERE: TopicName = TopicName::constant("nowhere");

#[tokio::test]
async fn no_returned_task_of_a_call_counts_as_published_and_every_other_is_there() {
    let server = RabbitMqServer::shared().await;
    let proxy = AmqpProxy::start(server.address()).await.unwrap();
    let rig = Rig::start(|options| {
        options.port = proxy.address().port();
        options.declare = false;
    })
    .await;
    let declaring = rig.another_with(|options| options.declare = true);
    ok("to declare", declaring.declare(&BTreeSet::from([LETTERS]))).await;
    declaring.close().await;

    connected(&rig.queue).await;
    for _ in 0..5 {
        // The first confirm is part of a later one, so what came back before it is told with those of other messages.
        let swallowed = proxy.swallow(AmqpFrame::confirm(), 1);
        let tasks = rig.messages().tasks(800).into_iter().enumerate();
        let tasks: Vec<TaskEnvelope> = tasks
            .map(|(number, task)| TaskEnvelope {
                topic: if number % 2 == 0 { LETTERS } else { NOWHERE },
                ..task
            })
            .collect();
        let results = soon("all to be published", rig.queue.publish(tasks.clone())).await;
        swallowed.happened().await;
        for (task, result) in tasks.iter().zip(&results) {
            if task.topic == LETTERS {
                assert!(result.is_ok(), "{result:?}");
            } else {
                assert!(
                    matches!(result, Err(PublishError::Unroutable { topic }) if *topic == NOWHERE),
                    "{result:?}"
                );
            }
        }
        let there = rig.empty(&server.url(), &rig.letters()).await;
        let routable: Vec<TaskEnvelope> = tasks.into_iter().filter(|task| task.topic == LETTERS).collect();
        assert_eq!(there, routable, "each once, in the order of the call");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_deleted_queue_is_declared_again_and_nothing_is_lost() {
    let server = RabbitMqServer::shared().await;
    let rig = Rig::start(|_| {}).await;
    rig.publish_all(rig.messages().tasks(1)).await;
    let deleting = rig.channel().await;
    let deleting = deleting.queue_delete(rig.letters().as_str().into(), QueueDeleteOptions::default());
    ok("to delete a queue", deleting).await;

    let letters = rig.messages().tasks(10);
    let parcels = rig
        .messages()
        .tasks(10)
        .into_iter()
        .map(|task| TaskEnvelope { topic: PARCELS, ..task });
    let mixed = letters.iter().cloned().zip(parcels);
    rig.publish_all(mixed.flat_map(|(letter, parcel)| [letter, parcel]).collect())
        .await;

    assert_eq!(rig.empty(&server.url(), &rig.letters()).await, letters);
    assert_eq!(rig.empty(&server.url(), &rig.name("topic.parcels")).await.len(), 10);
    rig.stop().await;
}

#[tokio::test]
async fn a_deleted_exchange_is_declared_again_and_nothing_is_lost() {
    let server = RabbitMqServer::shared().await;
    let rig = Rig::start(|_| {}).await;
    rig.publish_all(rig.messages().tasks(1)).await;
    rig.empty(&server.url(), &rig.letters()).await;
    for exchange in [rig.name("publish"), rig.name("delay.1")] {
        let deleting = rig.channel().await;
        let deleting = deleting.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default());
        ok("to delete an exchange", deleting).await;
    }

    let now = rig.messages().tasks(10);
    let later: Vec<TaskEnvelope> = rig
        .messages()
        .tasks(10)
        .into_iter()
        .map(|task| in_seconds(&rig, 2, task))
        .collect();
    rig.publish_all(now.iter().chain(&later).cloned().collect()).await;

    let mut there = ids(&rig.empty(&server.url(), &rig.letters()).await);
    assert!(there.is_superset(&ids(&now)), "{there:?}");
    // What waits may have come meanwhile.
    let all = ids(&[now, later].concat());
    until("what waits", async || {
        for queue in [rig.name("delay.1"), rig.letters()] {
            there.extend(ids(&rig.empty(&server.url(), &queue).await));
        }
        there == all
    })
    .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_full_queue_refuses_and_takes_again_when_there_is_room() {
    let server = RabbitMqServer::shared().await;
    let rig = Rig::start(|options| options.max_length = Some(100)).await;
    connected(&rig.queue).await;
    let tasks = rig.messages().tasks(400);
    let results = soon("all to be decided", rig.queue.publish(tasks.clone())).await;
    let mut taken = BTreeSet::new();
    for (task, result) in tasks.iter().zip(results) {
        match result {
            Ok(_) => drop(taken.insert(task.id)),
            Err(PublishError::Refused { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    // The broker notices a little later that the queue is full.
    until("the queue to refuse", async || {
        let task = rig.messages().task();
        let id = task.id;
        match rig.publish_one(task).await {
            Ok(_) => drop(taken.insert(id)),
            Err(PublishError::Refused { .. }) => return true,
            Err(error) => panic!("{error:?}"),
        }
        false
    })
    .await;

    let there = rig.empty(&server.url(), &rig.letters()).await;
    assert!(there.len() >= 100, "{}", there.len());
    assert_eq!(ids(&there), taken, "what was taken, and nothing that was refused");
    until("the queue to take again", async || {
        rig.publish_one(rig.messages().task()).await.is_ok()
    })
    .await;
    rig.queue.close().await;
}

#[tokio::test]
async fn a_message_the_broker_rejects_is_invalid_and_takes_no_other_with_it() {
    let server = RabbitMqServer::start(RabbitMqOptions::default().max_message_size(4096)).await;
    let rig = Rig::start_on(&server, |_| {}).await;
    let mut tasks = rig.messages().tasks(20);
    tasks.insert(10, rig.task_with(&"x".repeat(8192)));
    connected(&rig.queue).await;
    let results = soon("all to be decided", rig.queue.publish(tasks.clone())).await;

    for (place, result) in results.iter().enumerate() {
        if place == 10 {
            let code = "broker.rejected";
            assert!(
                matches!(result, Err(PublishError::Invalid { code: is, .. }) if *is == code),
                "{result:?}"
            );
        } else {
            assert!(result.is_ok(), "{place}: {result:?}");
        }
    }
    let culprit = tasks.remove(10);
    let there = rig.empty(&server.url(), &rig.letters()).await;
    assert_eq!(ids(&there), ids(&tasks), "and not {}", culprit.id);
    assert!(rig.publish_one(rig.messages().task()).await.is_ok());
    rig.queue.close().await;
}

#[tokio::test]
async fn what_is_in_flight_is_bounded() {
    let server = RabbitMqServer::shared().await;
    let proxy = AmqpProxy::start(server.address()).await.unwrap();
    let rig = Rig::start(|options| {
        options.port = proxy.address().port();
        options.heartbeat = Duration::from_mins(1);
        options.confirm_timeout = Duration::from_secs(25);
    })
    .await;
    // Each of the four channels is open.
    for _ in 0..4 {
        rig.publish_all(rig.messages().tasks(1)).await;
    }

    // Four times 2 MB are nearly all there is room for, which is 8 MiB.
    let text = "x".repeat(255_000);
    let large = || (0..8).map(|_| rig.task_with(&text)).collect::<Vec<_>>();
    let confirms = proxy.hold(AmqpFrame::confirm());
    let publishing = join_all((0..4).map(|_| rig.queue.publish(large())));
    let one_more = async {
        confirms.arrived().await;
        let refused = publish_one(&rig.queue, rig.task_with(&text)).await;
        confirms.release();
        refused
    };
    let (published, refused) = soon("all to be decided", join(publishing, one_more)).await;

    assert!(
        matches!(&refused, Err(PublishError::Unavailable { reason }) if reason.contains("too much is in flight")),
        "{refused:?}"
    );
    for result in published.into_iter().flatten() {
        assert!(result.is_ok(), "{result:?}");
    }
    assert!(rig.publish_one(rig.messages().task()).await.is_ok());
    rig.stop().await;
}

fn in_seconds(rig: &Rig, wait: u64, task: TaskEnvelope) -> TaskEnvelope {
    let due = after(rig.services.clock.now(), Duration::from_secs(wait));
    TaskEnvelope {
        not_before: Some(due),
        ..task
    }
}
