//! What an order key promises.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aftercommit_domain::contract::{TaskEnvelope, Tenant};
use aftercommit_domain::tasks::Outcome;
use aftercommit_domain::time::{Clock, after, seconds};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::conformance::messages::{OTHER_TOPIC, TOPIC};
use crate::conformance::support::{
    consume, failure, long_delay, next, nothing_comes, ok, publish, soon, take, task_id,
};
use crate::conformance::{Messages, Provider};

/// Tasks of one order key run one after another, in the order they were published; others do not wait for them.
pub async fn tasks_of_one_order_key_run_one_after_another_in_the_order_they_were_published<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let mut ids = publish(provider, (0..3).map(|_| messages.ordered_task("a")).collect()).await;
    // Also over several calls.
    ids.extend(publish(provider, (0..3).map(|_| messages.ordered_task("a")).collect()).await);
    let mut deliveries = consume(provider, &TOPIC, 10).await;
    for (place, id) in ids.iter().enumerate() {
        let delivery = next(&mut deliveries, &format!("task {place} of the key")).await;
        assert_eq!(task_id(&*delivery), *id, "task {place} of the key");
        if place == 2 {
            let other = publish(provider, vec![messages.ordered_task("b")]).await;
            let of_b = next(&mut deliveries, "a task of another key").await;
            assert_eq!(task_id(&*of_b), other[0]);
            ok("it to be acked", of_b.ack(&Outcome::Completed)).await;
        }
        if place < 3 {
            nothing_comes(&mut deliveries, "a task of the key runs").await;
        }
        ok("a task to be acked", delivery.ack(&Outcome::Completed)).await;
    }
}

/// Tasks of one order key never overlap, whatever the number of consumers.
pub async fn tasks_of_one_order_key_never_overlap_whatever_the_number_of_consumers<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let ids = publish(provider, (0..60).map(|_| messages.ordered_task("a")).collect()).await;
    let (taken, all_taken) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
    let running = Arc::new(AtomicUsize::new(0));
    let mut consumers = JoinSet::new();
    for _ in 0..3 {
        let mut deliveries = consume(provider, &TOPIC, 4).await;
        let (taken, all_taken, count) = (Arc::clone(&taken), all_taken.clone(), ids.len());
        let running = Arc::clone(&running);
        consumers.spawn(async move {
            loop {
                let next = tokio::select! {
                    next = deliveries.next() => next,
                    () = all_taken.cancelled() => return,
                };
                let delivery = next.expect("the queue is there").expect("the consumer was not stopped");
                assert_eq!(
                    running.fetch_add(1, Ordering::SeqCst),
                    0,
                    "two tasks of one key run at once"
                );
                let so_far = {
                    let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
                    taken.push(task_id(&*delivery));
                    taken.len()
                };
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                ok("a task to be acked", delivery.ack(&Outcome::Completed)).await;
                if so_far == count {
                    all_taken.cancel();
                }
            }
        });
    }
    soon("all tasks to be taken", consumers.join_all()).await;
    assert_eq!(*taken.lock().unwrap_or_else(PoisonError::into_inner), ids);
}

/// A head that waits for its retry holds back its followers where the queue holds order over retries, and nobody else.
pub async fn a_head_that_waits_for_its_retry_holds_back_its_followers_only<P: Provider>(provider: &P) {
    let (messages, wait) = (Messages::new(provider.services()), long_delay(provider));
    let ids = publish(provider, vec![messages.ordered_task("a"), messages.ordered_task("a")]).await;
    let mut deliveries = consume(provider, &TOPIC, 10).await;
    let head = next(&mut deliveries, "the head").await;
    ok("the head to be retried", head.retry(wait, true, Some(&failure()))).await;
    let other = publish(provider, vec![messages.ordered_task("b")]).await;
    let of_b = next(&mut deliveries, "a task of another key").await;
    assert_eq!(task_id(&*of_b), other[0]);
    ok("it to be acked", of_b.ack(&Outcome::Completed)).await;
    let holds = provider.queue_publisher().capabilities().holds_order_over_retries;
    if holds {
        nothing_comes(&mut deliveries, "the head waits for its retry").await;
    } else {
        // Only the one that ran is retried: the follower goes on without it.
        let follower = next(&mut deliveries, "the follower").await;
        assert_eq!(task_id(&*follower), ids[1]);
        ok("the follower to be acked", follower.ack(&Outcome::Completed)).await;
    }
    provider.advance(wait + seconds(1)).await;
    let head = next(&mut deliveries, "the head again").await;
    assert_eq!((task_id(&*head), head.attempt()), (ids[0], 2));
    nothing_comes(&mut deliveries, "the head runs").await;
    ok("the head to be acked", head.ack(&Outcome::Completed)).await;
    if holds {
        assert_eq!(task_id(&*next(&mut deliveries, "the follower").await), ids[1]);
    }
}

/// A head that waits for its time holds back its followers, and nobody else.
pub async fn a_head_that_waits_for_its_time_holds_back_its_followers_only<P: Provider>(provider: &P) {
    let (messages, wait) = (Messages::new(provider.services()), long_delay(provider));
    let later = TaskEnvelope {
        not_before: Some(after(provider.services().clock.now(), wait)),
        ..messages.ordered_task("a")
    };
    let ids = publish(
        provider,
        vec![later, messages.ordered_task("a"), messages.ordered_task("b")],
    )
    .await;
    let mut deliveries = consume(provider, &TOPIC, 10).await;
    let of_b = next(&mut deliveries, "a task of another key").await;
    assert_eq!(task_id(&*of_b), ids[2]);
    ok("it to be acked", of_b.ack(&Outcome::Completed)).await;
    nothing_comes(&mut deliveries, "the head waits for its time").await;
    provider.advance(wait + seconds(1)).await;
    let head = next(&mut deliveries, "the head").await;
    assert_eq!(task_id(&*head), ids[0]);
    ok("the head to be acked", head.ack(&Outcome::Completed)).await;
    assert_eq!(task_id(&*next(&mut deliveries, "the follower").await), ids[1]);
}

/// A head that is given up lets its followers go.
pub async fn a_dead_head_lets_its_followers_go<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let ids = publish(provider, vec![messages.ordered_task("a"), messages.ordered_task("a")]).await;
    let mut deliveries = consume(provider, &TOPIC, 10).await;
    let head = next(&mut deliveries, "the head").await;
    assert_eq!(task_id(&*head), ids[0]);
    ok("the head to die", head.dead_letter(&failure())).await;
    assert_eq!(task_id(&*next(&mut deliveries, "the follower").await), ids[1]);
}

/// Order keys are scoped by tenant and topic: no tenant can hold up another's work.
pub async fn the_same_order_key_of_another_tenant_or_topic_is_another_key<P: Provider>(provider: &P) {
    let own = Messages::new(provider.services());
    let of = |tenant| Messages::of(provider.services(), tenant).ordered_task("a");
    let parcel = TaskEnvelope {
        topic: OTHER_TOPIC,
        ..own.ordered_task("a")
    };
    let tasks = vec![
        own.ordered_task("a"),
        of(Tenant::project(1_i64, 11_i64)),
        of(Tenant::project(2_i64, 10_i64)),
        of(Tenant::organization(1_i64)),
        of(Tenant::System),
        parcel,
    ];
    let ids = publish(provider, tasks).await;
    let mut letters = consume(provider, &TOPIC, 10).await;
    let held = take(&mut letters, 5).await;
    let mut found: Vec<_> = held.iter().map(|delivery| task_id(&**delivery)).collect();
    let mut expected = ids[..5].to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let mut parcels = consume(provider, &OTHER_TOPIC, 10).await;
    assert_eq!(
        task_id(&*next(&mut parcels, "the task of the other topic").await),
        ids[5]
    );
}
