//! Messages that are not as they should be, and those the broker gives up.

use std::time::Duration;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{DeadLetter, DeadLetterFilter, DeadLetters, Outcome, QueueMaintenance};
use aftercommit_domain::time::{Clock, after};
use lapin::BasicProperties;
use lapin::options::{BasicGetOptions, BasicNackOptions};
use lapin::types::{AMQPValue, FieldTable};

use crate::rig::Rig;
use crate::support::{id_of, next, ok, soon, until};

/// Drains what the broker has put aside until a letter with this code is there.
async fn letter(rig: &Rig, code: &str) -> DeadLetter {
    let filter = DeadLetterFilter {
        code: Some(code.to_owned()),
        ..DeadLetterFilter::default()
    };
    let mut letters = Vec::new();
    until("a dead letter", async || {
        ok("to drain", rig.queue.rescue_expired()).await;
        letters = ok("the letters", rig.store.list(&filter)).await;
        !letters.is_empty()
    })
    .await;
    assert_eq!(letters.len(), 1);
    letters.remove(0)
}

#[tokio::test]
async fn a_task_that_is_delivered_again_and_again_becomes_a_dead_letter() {
    let rig = Rig::start(|_| {}).await;
    let task = rig.messages().task();
    rig.publish_all(vec![task.clone()]).await;
    let channel = rig.channel().await;
    let mut deliveries = 0;
    loop {
        let getting = channel.basic_get(rig.letters().as_str().into(), BasicGetOptions::default());
        let Some(message) = ok("a message", getting).await else {
            break;
        };
        deliveries += 1;
        let options = BasicNackOptions {
            requeue: true,
            ..BasicNackOptions::default()
        };
        ok("to give it back", message.delivery.acker.nack(options)).await;
    }
    assert!((50..=51).contains(&deliveries), "{deliveries}");

    let letter = letter(&rig, "broker.gave_up").await;
    assert_eq!(letter.id, task.id);
    assert_eq!(letter.task, Some(task));
    rig.stop().await;
}

#[tokio::test]
async fn a_message_that_has_nowhere_to_go_becomes_a_dead_letter() {
    let rig = Rig::start(|_| {}).await;
    rig.publish_all(rig.messages().tasks(1)).await;
    let exchange = rig.name("tasks");
    rig.publish_raw(&exchange, "nobody.knows", BasicProperties::default(), b"it")
        .await;
    let letter = letter(&rig, "queue.unroutable").await;
    assert_eq!((letter.body.as_slice(), letter.task), (b"it".as_slice(), None));
    assert_eq!(letter.topic, TopicName::constant("knows"));
    rig.stop().await;
}

#[tokio::test]
async fn forged_headers_are_harmless() {
    let rig = Rig::start(|_| {}).await;
    rig.consume(10).await.stop().await;
    let forged = [
        ("aftercommit-attempts", AMQPValue::LongString("7".into())),
        ("aftercommit-attempts", AMQPValue::LongLongInt(-7)),
        ("aftercommit-attempts", AMQPValue::LongLongInt(1 << 40)),
        ("aftercommit-due-at", AMQPValue::LongString("never".into())),
        ("aftercommit-failure", AMQPValue::Void),
        ("x-death", AMQPValue::LongString("often".into())),
        ("x-delivery-count", AMQPValue::LongLongInt(-1)),
        ("x-first-death-queue", AMQPValue::Boolean(true)),
    ];
    // At once, and through a wait, for which the broker looks at some of them itself.
    let (direct, delayed) = (rig.name("tasks"), rig.name("delay.0"));
    let second = format!("{}1.letters", "0.".repeat(16));
    for (exchange, key) in [(&direct, "letters"), (&delayed, second.as_str())] {
        for (name, value) in &forged {
            let mut headers = FieldTable::default();
            headers.insert((*name).into(), value.clone());
            let properties = BasicProperties::default().with_headers(headers);
            let task = rig.messages().task();
            rig.publish_raw(exchange, key, properties, task.encode().as_bytes())
                .await;
        }
    }
    let mut deliveries = rig.consume(20).await;
    let failure = Failure::new("test.failed", ErrorClass::Retryable, "it did not work");
    let mut first = Vec::new();
    for _ in 0..2 * forged.len() {
        first.push(next(&mut deliveries).await);
    }
    let mut retried = Vec::new();
    for delivery in first {
        assert_eq!(delivery.attempt(), 1);
        retried.push(id_of(&*delivery));
        ok("a retry", delivery.retry(Duration::ZERO, true, Some(&failure))).await;
    }
    for _ in 0..2 * forged.len() {
        let delivery = next(&mut deliveries).await;
        assert!(retried.contains(&id_of(&*delivery)));
        assert_eq!(delivery.attempt(), 2);
        ok("an ack", delivery.ack(&Outcome::Completed)).await;
    }
    deliveries.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn bytes_that_are_no_task_are_handed_out_as_they_came() {
    let rig = Rig::start(|_| {}).await;
    let mut deliveries = rig.consume(10).await;
    let bytes: [&[u8]; 3] = [b"", b"\xff\x00{", b"{\"id\": 1}"];
    for body in bytes {
        let exchange = rig.name("tasks");
        rig.publish_raw(&exchange, "letters", BasicProperties::default(), body)
            .await;
    }
    for body in bytes {
        let delivery = next(&mut deliveries).await;
        assert_eq!(&*delivery.task().body, body);
        let failure = Failure::new("test.unreadable", ErrorClass::Permanent, "it is no task");
        ok("to bury it", delivery.dead_letter(&failure)).await;
    }
    let letters = soon("the letters", rig.store.list(&DeadLetterFilter::default()))
        .await
        .unwrap();
    let mut bodies: Vec<&[u8]> = letters.iter().map(|letter| letter.body.as_slice()).collect();
    bodies.reverse();
    assert_eq!(bodies, bytes);
    deliveries.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn another_producers_wait_and_order_are_kept_though_its_messages_go_straight_to_the_queue() {
    let rig = Rig::start(|_| {}).await;
    let mut deliveries = rig.consume(10).await;
    let messages = rig.messages();
    let wait = Duration::from_hours(1);
    let later = TaskEnvelope {
        not_before: Some(after(rig.services.clock.now(), wait)),
        ..messages.task()
    };
    let [head, follower] = [messages.ordered_task("a"), messages.ordered_task("a")];
    for task in [&later, &head, &follower] {
        let exchange = rig.name("tasks");
        let body = task.encode().into_bytes();
        rig.publish_raw(&exchange, "letters", BasicProperties::default(), &body)
            .await;
    }
    let first = next(&mut deliveries).await;
    assert_eq!(
        id_of(&*first),
        head.id,
        "its follower and the one that waits come later"
    );
    until("the other two are held", async || {
        let held = ok(
            "the depths",
            aftercommit_domain::tasks::TaskInspector::depths(&rig.store),
        )
        .await;
        held.iter().map(|depth| depth.available + depth.scheduled).sum::<u64>() == 2
    })
    .await;
    ok("an ack", first.ack(&Outcome::Completed)).await;
    let second = next(&mut deliveries).await;
    assert_eq!(id_of(&*second), follower.id);
    ok("an ack", second.ack(&Outcome::Completed)).await;
    rig.advance(wait).await;
    assert_eq!(id_of(&*next(&mut deliveries).await), later.id);
    rig.stop().await;
}
