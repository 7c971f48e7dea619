//! What cancelling a task promises.

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::events::OutboxMessage;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{CancelOrder, Cancelled, Outcome, Reason, TaskState, Unseen};
use aftercommit_domain::time::{Clock, after, days, seconds};

use crate::conformance::messages::TOPIC;
use crate::conformance::support::{commit, consume, failure, long_delay, next, nothing_comes, ok, publish, task_id};
use crate::conformance::{Messages, Provider};

fn order(task: MessageId) -> CancelOrder {
    CancelOrder {
        task,
        actor: "ada".into(),
        reason: Reason::new("the customer left"),
    }
}

/// Whether the queue shows each task; a broker's does not.
fn shows<P: Provider>(provider: &P) -> bool {
    provider.queue_publisher().capabilities().shows_each_task
}

async fn cancel<P: Provider>(provider: &P, task: MessageId) -> Cancelled {
    let unseen = if shows(provider) {
        Unseen::IsUnknown
    } else {
        Unseen::MayBeElsewhere
    };
    ok("an order", provider.cancellations().cancel(&order(task), unseen)).await
}

/// The tasks of the orders that workers keep to, in the order of their ids.
async fn ordered<P: Provider>(provider: &P) -> Vec<MessageId> {
    let orders = ok("the orders", provider.cancellations().outstanding(10)).await;
    let mut tasks: Vec<MessageId> = orders.iter().map(|order| order.task).collect();
    tasks.sort_unstable();
    tasks
}

async fn state_of<P: Provider>(provider: &P, id: MessageId) -> Option<(TaskState, Option<String>)> {
    let found = ok("the task to be looked up", provider.task_inspector().find(id)).await;
    found.map(|task| (task.summary.state, task.summary.reason))
}

/// A cancelled task that waits is gone, and its reason and who ordered it are kept.
pub async fn a_cancelled_task_that_waits_is_gone_with_its_reason<P: Provider>(provider: &P) {
    if !shows(provider) {
        return;
    }
    let wait = long_delay(provider);
    let messages = Messages::new(provider.services());
    let task = TaskEnvelope {
        not_before: Some(after(provider.services().clock.now(), wait)),
        ..messages.task()
    };
    let ids = publish(provider, vec![task, messages.task()]).await;
    for id in &ids {
        assert_eq!(cancel(provider, *id).await, Cancelled::Ended);
        let expected = (TaskState::Cancelled, Some("the customer left (by ada)".to_owned()));
        assert_eq!(state_of(provider, *id).await, Some(expected));
        assert_eq!(cancel(provider, *id).await, Cancelled::Over(TaskState::Cancelled));
    }
    provider.advance(wait + seconds(1)).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    nothing_comes(&mut deliveries, "all were cancelled").await;
}

/// A cancelled task that runs is named to whoever runs it, and to whoever is handed a copy of it afterwards.
pub async fn a_cancelled_task_that_runs_is_named_to_whoever_runs_it<P: Provider>(provider: &P) {
    let ids = publish(provider, Messages::new(provider.services()).tasks(2)).await;
    let mut deliveries = consume(provider, &TOPIC, 2).await;
    let first = next(&mut deliveries, "the first").await;
    let second = next(&mut deliveries, "the second").await;
    for id in &ids {
        assert_eq!(cancel(provider, *id).await, Cancelled::Requested);
        assert_eq!(cancel(provider, *id).await, Cancelled::Requested, "twice is once");
    }
    let mut both = ids.clone();
    both.sort_unstable();
    assert_eq!(ordered(provider).await, both);
    let found = ok("the order", provider.cancellations().find(ids[0])).await;
    assert_eq!(found, Some(order(ids[0])));
    let ended = Outcome::Cancelled(order(ids[0]).outcome());
    let (cancelled, done) = (task_id(&*first), task_id(&*second));
    ok("the first to end as cancelled", first.ack(&ended)).await;
    ok("the second to have done its work", second.ack(&Outcome::Completed)).await;
    assert_eq!(ordered(provider).await, both, "a copy may come late");
    if shows(provider) {
        let state = async |id| state_of(provider, id).await.map(|(state, _)| state);
        assert_eq!(state(cancelled).await, Some(TaskState::Cancelled));
        assert_eq!(state(done).await, Some(TaskState::Completed));
    }
    nothing_comes(&mut deliveries, "both are over").await;
}

/// A cancelled task whose worker lets it wait for a retry, because it did not hear in time, is not run again.
pub async fn a_cancelled_task_whose_retry_comes_late_is_not_run_again<P: Provider>(provider: &P) {
    if !shows(provider) {
        return;
    }
    let ids = publish(provider, vec![Messages::new(provider.services()).task()]).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let delivery = next(&mut deliveries, "the task").await;
    assert_eq!(cancel(provider, ids[0]).await, Cancelled::Requested);
    ok("a late retry", delivery.retry(seconds(20), true, Some(&failure()))).await;
    ordered(provider).await;
    let state = state_of(provider, ids[0]).await.map(|(state, _)| state);
    assert_eq!(state, Some(TaskState::Cancelled));
    provider.advance(seconds(21)).await;
    nothing_comes(&mut deliveries, "it was cancelled").await;
}

/// A cancelled task that was written to an outbox and has not reached its topic ends when it does.
pub async fn a_cancelled_task_that_has_not_reached_its_topic_is_not_run<P: Provider>(provider: &P) {
    let task = Messages::new(provider.services()).task();
    let id = task.id;
    commit(provider, vec![OutboxMessage::Task(task.clone())]).await;
    assert_eq!(cancel(provider, id).await, Cancelled::Requested);
    assert_eq!(ordered(provider).await, [id]);
    if !shows(provider) {
        return;
    }
    let claimed = ok("its row", provider.outbox().claim(1, seconds(30))).await;
    publish(provider, vec![task]).await;
    let claims: Vec<_> = claimed.iter().map(|row| row.claim).collect();
    ok("it to be published", provider.outbox().mark_published(&claims)).await;
    ordered(provider).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    nothing_comes(&mut deliveries, "it was cancelled").await;
    let state = state_of(provider, id).await.map(|(state, _)| state);
    assert_eq!(state, Some(TaskState::Cancelled));
}

/// Cancelling what is over says how it ended, and cancelling what nobody knows says so.
pub async fn a_task_that_is_over_or_unknown_is_not_cancelled<P: Provider>(provider: &P) {
    if !shows(provider) {
        return;
    }
    let ids = publish(provider, Messages::new(provider.services()).tasks(2)).await;
    let mut deliveries = consume(provider, &TOPIC, 2).await;
    let first = next(&mut deliveries, "the first").await;
    let second = next(&mut deliveries, "the second").await;
    let (skipped, dead) = (task_id(&*first), task_id(&*second));
    ok("a skip", first.ack(&Outcome::Skipped(Reason::new("gone")))).await;
    ok("a dead letter", second.dead_letter(&failure())).await;
    assert!(ids.contains(&skipped) && ids.contains(&dead));
    assert_eq!(cancel(provider, skipped).await, Cancelled::Over(TaskState::Skipped));
    assert_eq!(cancel(provider, dead).await, Cancelled::Over(TaskState::Dead));
    let unknown = provider.services().envelopes.new_id();
    assert_eq!(cancel(provider, unknown).await, Cancelled::Unknown);
    assert_eq!(ordered(provider).await, []);
}

/// A task that may wait in a broker is named to all who may be handed it, until the order is old.
pub async fn a_task_that_may_be_elsewhere_is_named_until_the_order_is_old<P: Provider>(provider: &P) {
    let (cancellations, unknown) = (provider.cancellations(), provider.services().envelopes.new_id());
    let given = provider.services().clock.now();
    let order = order(unknown);
    let cancelled = cancellations.cancel(&order, Unseen::MayBeElsewhere);
    assert_eq!(ok("an order", cancelled).await, Cancelled::Requested);
    assert_eq!(ordered(provider).await, [unknown]);
    let forgotten = cancellations.prune_orders(given - days(1), 10);
    assert_eq!(ok("old orders to be forgotten", forgotten).await, 0);
    provider.advance(days(15)).await;
    let before = provider.services().clock.now() - days(14);
    let forgotten = cancellations.prune_orders(before, 10);
    assert_eq!(ok("old orders to be forgotten", forgotten).await, 1);
    assert_eq!(ordered(provider).await, []);
}

/// After a cancelled task the next of its order key runs.
pub async fn the_next_of_its_order_key_runs_after_a_cancelled_one<P: Provider>(provider: &P) {
    if !shows(provider) {
        return;
    }
    let messages = Messages::new(provider.services());
    let tasks = (0..3).map(|_| messages.ordered_task("account-1")).collect();
    let ids = publish(provider, tasks).await;
    assert_eq!(cancel(provider, ids[1]).await, Cancelled::Ended);
    assert_eq!(cancel(provider, ids[0]).await, Cancelled::Ended);
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let delivery = next(&mut deliveries, "the third").await;
    assert_eq!(task_id(&*delivery), ids[2]);
}

/// A cancelled task that is published once more under its id, as a redelivered event does, ends as cancelled again.
pub async fn a_cancelled_task_that_is_published_again_is_not_run<P: Provider>(provider: &P) {
    if !shows(provider) {
        return;
    }
    let task = Messages::new(provider.services()).task();
    publish(provider, vec![task.clone()]).await;
    assert_eq!(cancel(provider, task.id).await, Cancelled::Ended);
    publish(provider, vec![task.clone()]).await;
    assert_eq!(ordered(provider).await, [task.id]);
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    nothing_comes(&mut deliveries, "it was cancelled").await;
    let state = state_of(provider, task.id).await.map(|(state, _)| state);
    assert_eq!(state, Some(TaskState::Cancelled));
}
