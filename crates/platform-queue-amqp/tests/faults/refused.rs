//! Tasks that the database refuses: each is its own trouble.

use std::sync::Arc;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    DeadLetter, DeadLetterFilter, DeadLetters, DeadLettersError, EndedTask, HeldKeys, HeldTask, HeldTasks,
    HistoryError, HoldError, Outcome, QueueConsumer, QueueMaintenance, TaskHistory,
};
use aftercommit_platform_queue_amqp::{AmqpQueue, AmqpStores};
use aftercommit_testkit::InMemory;
use async_trait::async_trait;
use lapin::BasicProperties;

use crate::rig::{LETTERS, Rig, queue_on, stores};
use crate::support::{connected, id_of, next, ok, options, soon, until};

/// A database that refuses one task for good, whatever is to be done with it.
#[derive(Clone)]
struct Picky {
    store: InMemory,
    refuses: MessageId,
    /// Whether it also refuses its dead letter.
    strictly: bool,
}

#[async_trait]
impl HeldTasks for Picky {
    async fn hold(&self, tasks: Vec<HeldTask>) -> Result<(), HoldError> {
        if tasks.iter().any(|held| held.task.id == self.refuses) {
            return Err(HoldError::Refused {
                reason: "it is out of range".into(),
            });
        }
        self.store.hold(tasks).await
    }

    async fn held_keys(&self, topic: &TopicName, orderings: &[String]) -> Result<HeldKeys, HoldError> {
        self.store.held_keys(topic, orderings).await
    }
}

#[async_trait]
impl TaskHistory for Picky {
    fn keeps(&self, outcome: &Outcome) -> bool {
        self.store.keeps(outcome)
    }

    async fn record(&self, tasks: Vec<EndedTask>) -> Result<(), HistoryError> {
        if tasks.iter().any(|ended| ended.id == self.refuses) {
            return Err(HistoryError::Unavailable {
                operation: "record",
                reason: "it is out of range".into(),
            });
        }
        self.store.record(tasks).await
    }
}

#[async_trait]
impl DeadLetters for Picky {
    async fn add(&self, letter: DeadLetter) -> Result<(), DeadLettersError> {
        if self.strictly && letter.id == self.refuses {
            return Err(DeadLettersError::Unavailable {
                operation: "add",
                reason: "it is out of range".into(),
            });
        }
        self.store.add(letter).await
    }

    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, DeadLettersError> {
        self.store.list(filter).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<DeadLetter>, DeadLettersError> {
        DeadLetters::find(&self.store, id).await
    }

    async fn replay(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        self.store.replay(ids, actor).await
    }

    async fn discard(&self, ids: &[MessageId], actor: &str) -> Result<Vec<MessageId>, DeadLettersError> {
        self.store.discard(ids, actor).await
    }
}

/// A process on the broker of `rig` with such a database.
fn picky(rig: &Rig, refuses: MessageId, strictly: bool) -> AmqpQueue {
    let picky = Arc::new(Picky {
        store: rig.store.clone(),
        refuses,
        strictly,
    });
    let stores = AmqpStores {
        held: picky.clone(),
        history: picky.clone(),
        dead_letters: picky,
        ..stores(&rig.store)
    };
    queue_on(&rig.options, &rig.services, stores)
}

#[tokio::test]
async fn a_task_the_database_refuses_to_hold_becomes_a_dead_letter_and_keeps_no_other_back() {
    let rig = Rig::start(|_| {}).await;
    connected(&rig.queue).await;
    let messages = rig.messages();
    // Without partitions the database keeps their order, and so is to hold them.
    let tasks = [
        messages.ordered_task("a"),
        messages.ordered_task("b"),
        messages.ordered_task("c"),
    ];
    rig.publish_all(messages.tasks(1)).await;
    for task in &tasks {
        let body = task.encode().into_bytes();
        rig.publish_raw(&rig.name("tasks"), "letters", BasicProperties::default(), &body)
            .await;
    }
    let queue = picky(&rig, tasks[1].id, false);
    connected(&queue).await;
    let mut deliveries = ok("to consume", queue.consume(&LETTERS, options(10))).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let delivery = next(&mut deliveries).await;
        seen.push(id_of(&*delivery));
        ok("an ack", delivery.ack(&Outcome::Completed)).await;
    }
    assert!(seen.contains(&tasks[0].id) && seen.contains(&tasks[2].id), "{seen:?}");
    let letter = soon("the letter", DeadLetters::find(&rig.store, tasks[1].id)).await;
    let letter = letter.unwrap().expect("what cannot be held is a dead letter");
    assert_eq!(letter.task.as_ref(), Some(&tasks[1]));
    assert!(
        letter.failure.to_string().contains("out of range"),
        "{}",
        letter.failure
    );

    deliveries.stop().await;
    queue.close().await;
    let left = rig.empty(&rig_url().await, &rig.letters()).await;
    assert!(left.is_empty(), "the broker has none of them any more: {left:?}");
    rig.stop().await;
}

#[tokio::test]
async fn a_letter_the_database_refuses_keeps_no_other_back_and_stays_with_the_broker() {
    let rig = Rig::start(|_| {}).await;
    rig.publish_all(rig.messages().tasks(1)).await;
    let tasks = rig.messages().tasks(3);
    for (task, exchange) in tasks.iter().zip(["dead", "dead", "unroutable"]) {
        let body = task.encode().into_bytes();
        rig.publish_raw(&rig.name(exchange), "letters", BasicProperties::default(), &body)
            .await;
    }
    let queue = picky(&rig, tasks[0].id, true);
    connected(&queue).await;
    until("the others to be kept", async || {
        // It goes on saying that something is wrong.
        soon("an answer", queue.rescue_expired()).await.unwrap_err();
        let second = DeadLetters::find(&rig.store, tasks[1].id).await.unwrap();
        let third = DeadLetters::find(&rig.store, tasks[2].id).await.unwrap();
        second.is_some() && third.is_some()
    })
    .await;
    queue.close().await;
    until("the first to be kept by a database that takes it", async || {
        ok("to drain", rig.queue.rescue_expired()).await;
        DeadLetters::find(&rig.store, tasks[0].id).await.unwrap().is_some()
    })
    .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_completed_task_whose_end_cannot_be_recorded_is_not_run_again_and_spoils_no_other_record() {
    let rig = Rig::start(|_| {}).await;
    let tasks = rig.messages().tasks(3);
    rig.publish_all(tasks.clone()).await;
    let queue = picky(&rig, tasks[1].id, false);
    connected(&queue).await;
    let mut deliveries = ok("to consume", queue.consume(&LETTERS, options(10))).await;
    let mut running = Vec::new();
    for _ in 0..3 {
        running.push(next(&mut deliveries).await);
    }
    let acks = running
        .into_iter()
        .map(|delivery| async move { delivery.ack(&Outcome::Completed).await });
    for ack in futures::future::join_all(acks).await {
        ack.expect("it is done");
    }
    deliveries.stop().await;
    queue.close().await;
    let left = rig.empty(&rig_url().await, &rig.letters()).await;
    assert!(left.is_empty(), "{left:?}");
    rig.stop().await;
}

async fn rig_url() -> String {
    aftercommit_testkit::rabbitmq_server::RabbitMqServer::shared()
        .await
        .url()
}
