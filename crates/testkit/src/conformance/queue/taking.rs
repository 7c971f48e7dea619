//! What taking tasks promises.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::Outcome;
use futures::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::conformance::messages::{OTHER_TOPIC, TOPIC};
use crate::conformance::support::{consume, next, nothing_comes, ok, publish, soon, take, task_id};
use crate::conformance::{Messages, Provider};

/// A consumer takes tasks of its own topic only.
pub async fn topics_are_apart<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let parcel = TaskEnvelope {
        topic: OTHER_TOPIC,
        ..messages.task()
    };
    let ids = publish(provider, vec![parcel, messages.task()]).await;
    let mut letters = consume(provider, &TOPIC, 5).await;
    let mut parcels = consume(provider, &OTHER_TOPIC, 5).await;
    let letter = next(&mut letters, "the letter").await;
    let parcel = next(&mut parcels, "the parcel").await;
    assert_eq!([task_id(&*parcel), task_id(&*letter)], ids[..]);
    nothing_comes(&mut letters, "the other task is of another topic").await;
}

/// At most `prefetch` deliveries are handed out and unsettled; each that is settled makes room for one.
pub async fn at_most_prefetch_deliveries_are_unsettled<P: Provider>(provider: &P) {
    publish(provider, Messages::new(provider.services()).tasks(10)).await;
    let mut deliveries = consume(provider, &TOPIC, 3).await;
    let mut held = take(&mut deliveries, 3).await;
    for _ in 0..3 {
        nothing_comes(&mut deliveries, "three are unsettled").await;
        let settled = held.swap_remove(0);
        ok("a task to be acked", settled.ack(&Outcome::Completed)).await;
        held.push(next(&mut deliveries, "a task in the place of the settled one").await);
    }
    nothing_comes(&mut deliveries, "three are unsettled again").await;
}

/// Any number of consumers share the tasks without overlap.
pub async fn consumers_share_the_tasks_without_overlap<P: Provider>(provider: &P) {
    let ids = publish(provider, Messages::new(provider.services()).tasks(200)).await;
    let (taken, all_taken) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
    let mut consumers = JoinSet::new();
    for _ in 0..3 {
        let mut deliveries = consume(provider, &TOPIC, 5).await;
        let (taken, all_taken, count) = (Arc::clone(&taken), all_taken.clone(), ids.len());
        consumers.spawn(async move {
            loop {
                let next = tokio::select! {
                    next = deliveries.next() => next,
                    () = all_taken.cancelled() => return,
                };
                let delivery = next.expect("the queue is there").expect("the consumer was not stopped");
                let so_far = {
                    let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
                    taken.push(task_id(&*delivery));
                    taken.len()
                };
                ok("a task to be acked", delivery.ack(&Outcome::Completed)).await;
                if so_far == count {
                    all_taken.cancel();
                }
            }
        });
    }
    let ended = soon("all tasks to be taken", consumers.join_all());
    ended.await;
    let taken: Vec<MessageId> = taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(taken.len(), ids.len());
    assert_eq!(taken.into_iter().collect::<HashSet<_>>(), ids.into_iter().collect());
}

/// A wait for the next task can be given up at any time; no task is lost or held by it.
pub async fn a_wait_that_is_given_up_loses_no_task<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    for round in 0..40 {
        assert!(deliveries.next().now_or_never().is_none(), "nothing waits yet");
        let ids = publish(provider, vec![messages.task()]).await;
        // Given up before, while and after the task is taken from the store: after this many looks.
        let mut early = None;
        {
            let mut wait = deliveries.next();
            for _ in 0..round % 8 {
                if let Poll::Ready(next) = futures::poll!(&mut wait) {
                    early = Some(next);
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let delivery = match early {
            Some(next) => next.expect("the queue is there").expect("the consumer was not stopped"),
            None => next(&mut deliveries, "the task after a wait that was given up").await,
        };
        assert_eq!(task_id(&*delivery), ids[0]);
        ok("the task to be acked", delivery.ack(&Outcome::Completed)).await;
    }
}

/// Bytes that are no task are delivered as they came: what they are is for the worker to say.
pub async fn bytes_that_are_no_task_are_delivered_as_they_came<P: Provider>(provider: &P) {
    let good = Messages::new(provider.services()).task();
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    for body in [b"\xff\xfe\0".as_slice(), b"", b"{}", b"null"] {
        provider.publish_raw(&TOPIC, body).await;
        let delivery = next(&mut deliveries, "the bytes").await;
        assert_eq!(&*delivery.task().body, body);
        assert_eq!((&delivery.task().topic, delivery.attempt()), (&TOPIC, 1));
        ok("the bytes to be acked", delivery.ack(&Outcome::Completed)).await;
    }
    let ids = publish(provider, vec![good]).await;
    assert_eq!(task_id(&*next(&mut deliveries, "a good task after them").await), ids[0]);
}
