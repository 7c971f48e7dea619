//! What is scripted happens, and nothing else.

use std::time::Duration;

use aftercommit_domain::contract::{Cause, Json, Limits, Tenant};
use aftercommit_domain::events::{EventFilter, EventLog, Outbox, OutboxMessage};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{
    ConsumeOptions, DeadLetter, DeadLetterFilter, DeadLetters, Deliveries, Delivery, InboxClaim, InboxMessage, Outcome,
    Published, QueueConsumer, QueuePublisher, SettleError,
};
use aftercommit_domain::time::seconds;
use aftercommit_domain::unit_of_work::{CommitError, UnitOfWork, UnitOfWorkFactory};
use futures::FutureExt;

use super::*;
use crate::{InMemory, TestServices, test_services};

struct Fixture {
    services: TestServices,
    store: Faulty<InMemory>,
}

impl Fixture {
    fn new() -> Self {
        let services = test_services();
        Self {
            store: Faulty::new(InMemory::for_tests(&services)),
            services,
        }
    }

    fn task(&self, order_key: Option<&str>) -> TaskEnvelope {
        TaskEnvelope {
            id: self.services.envelopes.new_id(),
            topic: "letters".parse().unwrap(),
            task: "send".parse().unwrap(),
            version: 1,
            tenant: Tenant::System,
            attempt: 1,
            enqueued_at: self.services.envelopes.now(),
            first_enqueued_at: self.services.envelopes.now(),
            not_before: None,
            deadline: None,
            order_key: order_key.map(|key| key.parse().unwrap()),
            coalescing: None,
            slot: None,
            cause: Cause::root(),
            payload: Json::parse("{}", &Limits::default()).unwrap(),
        }
    }

    async fn begin(&self) -> Box<dyn UnitOfWork> {
        self.store.begin(&Tenant::System, &Cause::root()).await.unwrap()
    }

    /// A transaction with one task in it.
    async fn written(&self) -> Box<dyn UnitOfWork> {
        let mut unit_of_work = self.begin().await;
        let message = OutboxMessage::Task(self.task(None));
        unit_of_work.outbox().append(vec![message]).await.unwrap();
        unit_of_work
    }

    async fn waiting(&self) -> u64 {
        self.store.inner().stats().await.unwrap().waiting
    }

    async fn consume(&self) -> Box<dyn Deliveries> {
        let options = ConsumeOptions {
            worker: "test".parse().unwrap(),
            prefetch: 1,
            lease: seconds(30),
        };
        self.store.consume(&"letters".parse().unwrap(), options).await.unwrap()
    }

    async fn delivered(&self) -> Box<dyn Delivery> {
        self.store.publish(vec![self.task(None)]).await;
        self.consume().await.next().await.unwrap().unwrap()
    }

    fn letter(&self) -> DeadLetter {
        let task = self.task(None);
        let (id, topic, body) = (task.id, task.topic.clone(), task.encode().into_bytes());
        let failure = Failure::new("test", ErrorClass::Permanent, "the test says so");
        DeadLetter::new(id, topic, Some(task), body, 1, failure, self.services.envelopes.now())
    }
}

#[tokio::test]
async fn what_fails_was_not_done_and_what_lost_its_reply_was() {
    let test = Fixture::new();
    test.store.script(Operation::Publish, [Fault::Fail, Fault::LoseReply]);
    let (failed, lost) = (test.task(None), test.task(None));
    for task in [&failed, &lost] {
        let answers = test.store.publish(vec![task.clone()]).await;
        assert!(
            matches!(answers[..], [Err(PublishError::Unknown { .. })]),
            "{answers:?}"
        );
    }
    let answers = test.store.publish(vec![failed, lost]).await;
    assert!(
        matches!(
            answers[..],
            [Ok(Published::Enqueued(_)), Ok(Published::AlreadyThere(_))]
        ),
        "{answers:?}"
    );
    assert_eq!(test.store.calls(Operation::Publish), 3);
}

#[tokio::test]
async fn a_refused_message_holds_back_what_follows_it_in_its_order_and_nothing_else() {
    let test = Fixture::new();
    let tasks = [Some("a"), Some("a"), Some("b"), None].map(|key| test.task(key));
    let refused = tasks[0].id;
    test.store
        .refuse(move |task| (task.id == refused).then(|| PublishError::Refused { reason: "full".into() }));
    let answers = test.store.publish(tasks.into()).await;
    assert!(
        matches!(
            answers[..],
            [
                Err(PublishError::Refused { .. }),
                Err(PublishError::Blocked),
                Ok(_),
                Ok(_)
            ]
        ),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_held_call_goes_on_when_it_is_let_go_and_a_hanging_one_never() {
    let test = Fixture::new();
    test.store.script(Operation::Publish, [Fault::Hold, Fault::Hang]);
    let (answers, ()) = futures::join!(test.store.publish(vec![test.task(None)]), async {
        test.store.wait_for_held(1).await;
        test.store.let_go(1);
    });
    assert!(matches!(answers[..], [Ok(_)]), "{answers:?}");
    assert!(test.store.publish(vec![test.task(None)]).now_or_never().is_none());
}

#[tokio::test]
async fn a_call_given_up_while_it_is_held_did_nothing_and_one_whose_reply_is_held_did_all() {
    let test = Fixture::new();
    test.store.script(Operation::Commit, [Fault::Hold, Fault::HoldReply]);
    assert!(test.written().await.commit().now_or_never().is_none());
    assert_eq!(test.waiting().await, 0);
    assert!(test.written().await.commit().now_or_never().is_none());
    assert_eq!(test.waiting().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_takes_its_time_before_it_is_done_and_a_slow_reply_after() {
    let test = Fixture::new();
    let minute = Duration::from_mins(1);
    let steps = [Fault::Delay(minute), Fault::DelayReply(minute)];
    test.store.script(Operation::Commit, steps);
    for done_after_half_of_it in [0, 2] {
        let unit_of_work = test.written().await;
        let started = tokio::time::Instant::now();
        let (committed, waiting) = futures::join!(unit_of_work.commit(), async {
            tokio::time::sleep(minute / 2).await;
            test.waiting().await
        });
        committed.unwrap();
        assert_eq!((waiting, started.elapsed()), (done_after_half_of_it, minute));
    }
}

#[tokio::test]
async fn a_failed_commit_is_rolled_back_and_one_that_lost_its_reply_is_unknown_and_there() {
    let test = Fixture::new();
    test.store.script(Operation::Commit, [Fault::Fail, Fault::LoseReply]);
    let failed = test.written().await.commit().await;
    assert!(matches!(failed, Err(CommitError::RolledBack { .. })), "{failed:?}");
    assert_eq!(test.waiting().await, 0);
    let lost = test.written().await.commit().await;
    assert!(matches!(lost, Err(CommitError::Unknown { .. })), "{lost:?}");
    assert_eq!(test.waiting().await, 1);
}

#[tokio::test]
async fn beginning_writing_and_claiming_go_wrong_one_by_one() {
    let test = Fixture::new();
    for operation in [Operation::Begin, Operation::Append, Operation::ClaimMessage] {
        test.store.script(operation, [Fault::Fail]);
    }
    assert!(test.store.begin(&Tenant::System, &Cause::root()).await.is_err());
    let mut unit_of_work = test.begin().await;
    let task = test.task(None);
    let append = vec![OutboxMessage::Task(task.clone())];
    assert!(unit_of_work.outbox().append(append.clone()).await.is_err());
    assert!(unit_of_work.outbox().append(append).await.is_ok());
    let message = InboxMessage::of(&task);
    assert!(unit_of_work.inbox().claim(&message).await.is_err());
    let claim = unit_of_work.inbox().claim(&message).await.unwrap();
    assert_eq!(claim, InboxClaim::First, "what failed claimed nothing");
}

#[tokio::test]
async fn the_relays_calls_go_wrong_one_by_one() {
    let test = Fixture::new();
    test.written().await.commit().await.unwrap();
    test.store.script(Operation::Claim, [Fault::Fail, Fault::LoseReply]);
    test.store.script(Operation::MarkPublished, [Fault::LoseReply]);
    for operation in [Operation::OutboxStats, Operation::Quarantined, Operation::RescueRows] {
        test.store.script(operation, [Fault::Fail]);
    }
    assert!(test.store.claim(9, seconds(30)).await.is_err());
    assert_eq!(test.waiting().await, 1);
    assert!(test.store.claim(9, seconds(30)).await.is_err());
    assert_eq!(test.waiting().await, 0, "it is claimed, although nobody heard of it");
    test.services.clock.advance(seconds(31));
    let claimed = test.store.claim(9, seconds(30)).await.unwrap();
    let claims = [claimed[0].claim];
    assert!(test.store.mark_published(&claims).await.is_err());
    let again = test.store.mark_published(&claims).await.unwrap();
    assert_eq!((again.changed, again.stale), (0, 1), "it was done");
    assert!(test.store.stats().await.is_err());
    assert!(test.store.quarantined(9).await.is_err());
    assert!(Outbox::rescue_expired(&test.store).await.is_err());
}

#[tokio::test]
async fn settling_goes_wrong_before_or_after_it_is_done() {
    let test = Fixture::new();
    let steps = [Fault::Fail, Fault::Pass, Fault::LoseReply];
    test.store.script(Operation::Ack, steps);
    for is_gone in [false, true] {
        let delivery = test.delivered().await;
        let settled = delivery.ack(&Outcome::Completed).await;
        assert!(matches!(settled, Err(SettleError::Unavailable { .. })), "{settled:?}");
        test.services.clock.advance(seconds(31));
        let next = test.consume().await.next().now_or_never();
        assert_eq!(next.is_none(), is_gone);
        if let Some(Ok(Some(delivery))) = next {
            delivery.ack(&Outcome::Completed).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_books_of_dead_letters_and_events_go_wrong_too() {
    let test = Fixture::new();
    let letter = test.letter();
    let (filter, ids) = (DeadLetterFilter::default(), [letter.id]);
    test.store.script(Operation::Bury, [Fault::LoseReply]);
    test.store.script(Operation::ReplayLetters, [Fault::LoseReply]);
    for operation in [
        Operation::ListLetters,
        Operation::FindLetter,
        Operation::DiscardLetters,
        Operation::Record,
        Operation::ListEvents,
        Operation::FindEvent,
        Operation::PruneEvents,
    ] {
        test.store.script(operation, [Fault::Fail]);
    }
    assert!(test.store.add(letter.clone()).await.is_err());
    assert!(DeadLetters::list(&test.store, &filter).await.is_err());
    assert_eq!(DeadLetters::list(&test.store, &filter).await.unwrap(), [letter]);
    assert!(DeadLetters::find(&test.store, ids[0]).await.is_err());
    assert!(test.store.discard(&ids, "test").await.is_err());
    assert!(test.store.replay(&ids, "test").await.is_err());
    assert_eq!(test.store.replay(&ids, "test").await.unwrap(), [], "it was done");
    assert!(test.store.record(&[]).await.is_err());
    assert!(EventLog::list(&test.store, &EventFilter::default()).await.is_err());
    assert!(EventLog::find(&test.store, ids[0]).await.is_err());
    let now = test.services.envelopes.now();
    assert!(EventLog::prune(&test.store, now, 9).await.is_err());
}
