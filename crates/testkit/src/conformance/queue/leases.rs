//! What a lease promises.

use std::time::Duration;

use aftercommit_domain::tasks::{DeadLetterFilter, Outcome, Reason, SettleError, TaskState};
use tokio::time::Instant;

use crate::conformance::messages::TOPIC;
use crate::conformance::support::{
    PAST_LEASE, consume, consume_with_lease, failure, lose_leases, next, nothing_comes, nothing_comes_within, ok,
    publish, rescue, soon, take, task_id,
};
use crate::conformance::{Messages, Provider};

/// A delivery that is dropped unsettled comes again, at the latest when its lease ended, marked as redelivered; it was
/// no attempt.
pub async fn a_dropped_delivery_comes_again_when_its_lease_ended<P: Provider>(provider: &P) {
    let ids = publish(provider, vec![Messages::new(provider.services()).task()]).await;
    let mut deliveries = consume(provider, &TOPIC, 2).await;
    drop(next(&mut deliveries, "the task").await);
    lose_leases(provider).await;
    let again = next(&mut deliveries, "the task after its lease").await;
    assert_eq!(
        (task_id(&*again), again.attempt(), again.redelivered()),
        (ids[0], 1, true)
    );
}

/// What a lost worker held is rescued, and the rescue answers how many.
pub async fn a_lost_task_is_rescued_and_the_rescue_answers_how_many<P: Provider>(provider: &P) {
    let mut ids = publish(provider, Messages::new(provider.services()).tasks(3)).await;
    let mut lost = consume(provider, &TOPIC, 3).await;
    let held = take(&mut lost, 3).await;
    assert_eq!(rescue(provider).await, 0, "a live worker holds them");
    // The worker is gone, and what it ran never ends.
    drop(lost);
    provider.advance(PAST_LEASE).await;
    let rescued = if P::RESCUES_TASKS { 3 } else { 0 };
    assert_eq!(rescue(provider).await, rescued);
    assert_eq!(rescue(provider).await, 0, "they were rescued already");
    let mut deliveries = consume(provider, &TOPIC, 5).await;
    let again = take(&mut deliveries, 3).await;
    assert!(again.iter().all(|delivery| delivery.redelivered()));
    let mut found: Vec<_> = again.iter().map(|delivery| task_id(&**delivery)).collect();
    found.sort();
    ids.sort();
    assert_eq!(found, ids);
    drop(held);
}

/// Settling after the lease was lost answers stale and takes nothing from whoever has the task now.
pub async fn settling_after_the_lease_was_lost_is_stale_and_changes_nothing<P: Provider>(provider: &P) {
    let mut ids = publish(provider, Messages::new(provider.services()).tasks(5)).await;
    let mut lost = consume(provider, &TOPIC, 5).await;
    let mut held = take(&mut lost, 5).await.into_iter();
    drop(lost);
    lose_leases(provider).await;
    let mut deliveries = consume(provider, &TOPIC, 10).await;
    let current = take(&mut deliveries, 5).await;
    let mut old = || held.next().expect("five were taken");
    let late = Outcome::Skipped(Reason::new("too late"));
    let failure = failure();
    let answers = [
        soon("the answer to a late ack", old().ack(&Outcome::Completed)).await,
        soon("the answer to a late skip", old().ack(&late)).await,
        soon(
            "the answer to a late retry",
            old().retry(Duration::ZERO, true, Some(&failure)),
        )
        .await,
        soon("the answer to a late dead letter", old().dead_letter(&failure)).await,
        soon("the answer to a late give-back", old().give_back()).await,
    ];
    for answer in answers {
        assert!(matches!(answer, Err(SettleError::Stale)), "{answer:?}");
    }
    if provider.queue_publisher().capabilities().deduplicates {
        nothing_comes(&mut deliveries, "the tasks are held").await;
    }
    let letters = ok(
        "dead letters",
        provider.dead_letters().list(&DeadLetterFilter::default()),
    )
    .await;
    assert!(letters.is_empty());
    for delivery in &current {
        let found = ok("the task", provider.task_inspector().find(task_id(&**delivery))).await;
        if let Some(found) = found {
            assert_eq!((found.summary.state, found.summary.attempts), (TaskState::Running, 1));
        } else {
            let shows_each_task = provider.queue_publisher().capabilities().shows_each_task;
            assert!(!shows_each_task, "it runs");
        }
    }
    let mut settled = Vec::new();
    for delivery in current {
        settled.push(task_id(&*delivery));
        ok("the current delivery to be acked", delivery.ack(&Outcome::Completed)).await;
    }
    settled.sort();
    ids.sort();
    assert_eq!(settled, ids);
}

/// What a live consumer holds stays its own, however long it takes: its leases are renewed.
pub async fn a_live_consumer_keeps_what_it_holds<P: Provider>(provider: &P) {
    publish(provider, vec![Messages::new(provider.services()).task()]).await;
    let mut deliveries = consume_with_lease(provider, &TOPIC, 1, SHORT_LEASE).await;
    let delivery = next(&mut deliveries, "the task").await;
    nobody_else_gets_it(provider).await;
    ok("the task to be acked", delivery.ack(&Outcome::Completed)).await;
}

/// So does what was handed out before a stop, also when the consumer is gone: a worker whose topic is paused lets its handlers
/// end.
pub async fn what_was_handed_out_before_a_stop_is_kept_when_the_consumer_is_gone<P: Provider>(provider: &P) {
    publish(provider, vec![Messages::new(provider.services()).task()]).await;
    let mut deliveries = consume_with_lease(provider, &TOPIC, 1, SHORT_LEASE).await;
    let delivery = next(&mut deliveries, "the task").await;
    soon("the consumer to stop", deliveries.stop()).await;
    drop(deliveries);
    nobody_else_gets_it(provider).await;
    ok("the task to be acked", delivery.ack(&Outcome::Completed)).await;
}

/// The one lease that runs in real time, because a provider may renew by a real timer.
const SHORT_LEASE: Duration = Duration::from_millis(1500);

/// Lets two leases pass on the clock while another consumer asks. After each look it goes on by what has passed, and by less
/// when the machine stood still: who renews by a real timer stood still as well.
async fn nobody_else_gets_it<P: Provider>(provider: &P) {
    let mut other = consume_with_lease(provider, &TOPIC, 1, SHORT_LEASE).await;
    let mut shown = Duration::ZERO;
    while shown < SHORT_LEASE * 2 {
        let looked = Instant::now();
        nothing_comes_within(&mut other, SHORT_LEASE / 20, "somebody alive holds the task").await;
        let passed = looked.elapsed().min(SHORT_LEASE / 6);
        provider.advance(passed).await;
        shown += passed;
        assert_eq!(rescue(provider).await, 0, "somebody alive holds the task");
    }
}
