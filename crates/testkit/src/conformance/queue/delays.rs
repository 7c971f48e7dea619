//! What waiting for a time promises.

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Deliveries, Outcome, TaskState};
use aftercommit_domain::time::{Clock, after, seconds};

use crate::conformance::messages::TOPIC;
use crate::conformance::support::{consume, failure, long_delay, next, nothing_comes, ok, publish, task_id};
use crate::conformance::{Messages, Provider};

/// The state that a waiting task shows, or that it should show where the queue does not show each task.
async fn state_of<P: Provider>(provider: &P, id: MessageId, expected: TaskState) -> TaskState {
    let details = ok("the task to be looked up", provider.task_inspector().find(id)).await;
    match details {
        None if !provider.queue_publisher().capabilities().shows_each_task => expected,
        None => panic!("the task is shown"),
        Some(details) => details.summary.state,
    }
}

/// A delayed task does not run before its time, and does after.
pub async fn a_delayed_task_does_not_run_before_its_time_and_does_after<P: Provider>(provider: &P) {
    let wait = long_delay(provider);
    let task = TaskEnvelope {
        not_before: Some(after(provider.services().clock.now(), wait)),
        ..Messages::new(provider.services()).task()
    };
    let ids = publish(provider, vec![task]).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    nothing_comes(&mut deliveries, "its time is far").await;
    let state = state_of(provider, ids[0], TaskState::Scheduled).await;
    assert_eq!(state, TaskState::Scheduled);
    provider.advance(wait.saturating_sub(seconds(2))).await;
    nothing_comes(&mut deliveries, "its time has not come").await;
    provider.advance(seconds(3)).await;
    let delivery = next(&mut deliveries, "the task at its time").await;
    assert_eq!((task_id(&*delivery), delivery.attempt()), (ids[0], 1));
}

/// Tasks that wait for their time do not hold back those that do not, and come in the order of their times.
pub async fn delayed_tasks_do_not_hold_back_others<P: Provider>(provider: &P) {
    let (messages, now) = (Messages::new(provider.services()), provider.services().clock.now());
    let at = |wait| TaskEnvelope {
        not_before: Some(after(now, seconds(wait))),
        ..messages.task()
    };
    let ids = publish(provider, vec![at(40), at(20), messages.task()]).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    for (expected, step) in [(ids[2], 21), (ids[1], 20), (ids[0], 0)] {
        let delivery = next(&mut deliveries, "a task at its time").await;
        assert_eq!(task_id(&*delivery), expected);
        ok("it to be acked", delivery.ack(&Outcome::Completed)).await;
        nothing_comes(&mut deliveries, "the time of the others has not come").await;
        provider.advance(seconds(step)).await;
    }
}

/// Lets the next delivery wait, checks that it does, and answers the attempt it was.
async fn retry_once<P: Provider>(
    provider: &P,
    deliveries: &mut Box<dyn Deliveries>,
    counted: bool,
    failed: bool,
) -> (u32, TaskState) {
    let (delivery, failure) = (next(deliveries, "the task").await, failure());
    let (attempt, id) = (delivery.attempt(), task_id(&*delivery));
    ok(
        "a retry",
        delivery.retry(seconds(20), counted, failed.then_some(&failure)),
    )
    .await;
    nothing_comes(deliveries, "it waits").await;
    let expected = if failed {
        TaskState::Retryable
    } else {
        TaskState::Scheduled
    };
    let state = state_of(provider, id, expected).await;
    provider.advance(seconds(18)).await;
    nothing_comes(deliveries, "it still waits").await;
    provider.advance(seconds(3)).await;
    (attempt, state)
}

/// A retry waits its time; a counted one is the next attempt, an uncounted one the same.
pub async fn a_retry_waits_its_time_and_a_counted_one_is_the_next_attempt<P: Provider>(provider: &P) {
    publish(provider, vec![Messages::new(provider.services()).task()]).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let mut attempts = Vec::new();
    for counted in [true, false, true] {
        let (attempt, state) = retry_once(provider, &mut deliveries, counted, true).await;
        attempts.push(attempt);
        assert_eq!(state, TaskState::Retryable);
    }
    attempts.push(next(&mut deliveries, "its last attempt").await.attempt());
    assert_eq!(attempts, [1, 2, 2, 3]);
}

/// A snoozed task comes again after its time as the same attempt, and did not fail.
pub async fn a_snoozed_task_comes_again_as_the_same_attempt<P: Provider>(provider: &P) {
    publish(provider, vec![Messages::new(provider.services()).task()]).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let (attempt, state) = retry_once(provider, &mut deliveries, false, false).await;
    assert_eq!((attempt, state), (1, TaskState::Scheduled));
    assert_eq!(next(&mut deliveries, "the task").await.attempt(), 1);
}
