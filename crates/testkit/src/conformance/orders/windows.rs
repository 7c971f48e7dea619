//! What changing the waiting tasks of a key promises.

use std::time::Duration;

use aftercommit_domain::contract::{TaskEnvelope, TaskName, Tenant};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Coalescing, Outcome, Published, Reason, TaskKey, TaskState};
use aftercommit_domain::time::{Clock, after, seconds};
use aftercommit_domain::unit_of_work::{StoreError, UnitOfWork};

use crate::conformance::messages::TOPIC;
use crate::conformance::support::{begin, consume, next, nothing_comes, ok, soon, task_id};
use crate::conformance::{Messages, Provider};

fn tenant() -> Tenant {
    Tenant::project(1_i64, 10_i64)
}

fn key_of(tenant: Tenant) -> TaskKey {
    TaskKey {
        tenant,
        topic: TOPIC,
        task: TaskName::constant("send"),
        key: Coalescing::replace("invitation-7").key,
    }
}

fn reason() -> Reason {
    Reason::new("it was accepted")
}

/// A task that waits for `wait` under the key.
fn replacing<P: Provider>(provider: &P, tenant: Tenant, wait: Duration) -> TaskEnvelope {
    TaskEnvelope {
        coalescing: Some(Coalescing::replace("invitation-7")),
        not_before: Some(after(provider.services().clock.now(), wait)),
        ..Messages::of(provider.services(), tenant).task()
    }
}

async fn publish<P: Provider>(provider: &P, task: TaskEnvelope) -> MessageId {
    let id = task.id;
    let published = soon("it to be published", provider.queue_publisher().publish(vec![task])).await;
    assert!(matches!(published[..], [Ok(Published::Enqueued(_))]), "{published:?}");
    id
}

async fn waiting(unit_of_work: &mut Box<dyn UnitOfWork>) -> Vec<MessageId> {
    let key = key_of(tenant());
    let mut windows = unit_of_work.windows();
    let waiting = ok("what waits", windows.waiting(&key)).await;
    waiting.into_iter().map(|task| task.id).collect()
}

async fn cancel(unit_of_work: &mut Box<dyn UnitOfWork>) -> u64 {
    let key = key_of(tenant());
    let mut windows = unit_of_work.windows();
    ok("it to be cancelled", windows.cancel(&key, &reason())).await
}

/// What waits under a key is cancelled when the transaction commits, and stays as it was when it does not.
pub async fn what_waits_under_a_key_is_cancelled_with_the_transaction_or_not_at_all<P: Provider>(provider: &P) {
    let id = publish(provider, replacing(provider, tenant(), seconds(60))).await;
    let mut unit_of_work = begin(provider, &tenant()).await;
    assert_eq!(waiting(&mut unit_of_work).await, [id]);
    assert_eq!(cancel(&mut unit_of_work).await, 1);
    assert_eq!(waiting(&mut unit_of_work).await, []);
    assert_eq!(cancel(&mut unit_of_work).await, 0);
    drop(unit_of_work);
    let mut unit_of_work = begin(provider, &tenant()).await;
    assert_eq!(waiting(&mut unit_of_work).await, [id], "nothing was committed");
    assert_eq!(cancel(&mut unit_of_work).await, 1);
    ok("the transaction to commit", unit_of_work.commit()).await;
    let found = ok("the task to be looked up", provider.task_inspector().find(id)).await;
    let ended = found.map(|task| (task.summary.state, task.summary.reason));
    assert_eq!(ended, Some((TaskState::Cancelled, Some("it was accepted".to_owned()))));
    provider.advance(seconds(61)).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    nothing_comes(&mut deliveries, "it was cancelled").await;
    let next_one = publish(provider, replacing(provider, tenant(), Duration::ZERO)).await;
    let delivery = next(&mut deliveries, "the key is free").await;
    assert_eq!(task_id(&*delivery), next_one);
}

/// What waits under a key runs at its new time when the transaction commits, and at its old one when it does not.
pub async fn what_waits_under_a_key_is_moved_with_the_transaction_or_not_at_all<P: Provider>(provider: &P) {
    let id = publish(provider, replacing(provider, tenant(), seconds(60))).await;
    let now = provider.services().clock.now();
    let (later, sooner) = (after(now, seconds(600)), after(now, seconds(20)));
    let mut unit_of_work = begin(provider, &tenant()).await;
    let moved = {
        let mut windows = unit_of_work.windows();
        ok("it to be moved", windows.move_to(&key_of(tenant()), later)).await
    };
    assert_eq!(moved, 1);
    drop(unit_of_work);
    let mut unit_of_work = begin(provider, &tenant()).await;
    let moved = {
        let mut windows = unit_of_work.windows();
        ok("it to be moved", windows.move_to(&key_of(tenant()), sooner)).await
    };
    assert_eq!(moved, 1);
    ok("the transaction to commit", unit_of_work.commit()).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    nothing_comes(&mut deliveries, "its time has not come").await;
    provider.advance(seconds(21)).await;
    let delivery = next(&mut deliveries, "it at its new time").await;
    assert_eq!(task_id(&*delivery), id);
}

/// What is cancelled under a key is handed to nobody while the transaction is open, though it is due.
pub async fn what_is_cancelled_under_a_key_is_not_handed_out_meanwhile<P: Provider>(provider: &P) {
    for commits in [true, false] {
        let id = publish(provider, replacing(provider, tenant(), seconds(5))).await;
        let mut unit_of_work = begin(provider, &tenant()).await;
        assert_eq!(cancel(&mut unit_of_work).await, 1);
        let mut deliveries = consume(provider, &TOPIC, 1).await;
        provider.advance(seconds(6)).await;
        nothing_comes(&mut deliveries, "it is being cancelled").await;
        if commits {
            ok("the transaction to commit", unit_of_work.commit()).await;
            nothing_comes(&mut deliveries, "it was cancelled").await;
        } else {
            drop(unit_of_work);
            let delivery = next(&mut deliveries, "it after all").await;
            assert_eq!(task_id(&*delivery), id);
            ok("it to be done", delivery.ack(&Outcome::Completed)).await;
        }
    }
}

/// A task that a worker has is not changed under its key.
pub async fn what_a_worker_has_is_not_changed_under_its_key<P: Provider>(provider: &P) {
    let id = publish(provider, replacing(provider, tenant(), Duration::ZERO)).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let delivery = next(&mut deliveries, "the task").await;
    let mut unit_of_work = begin(provider, &tenant()).await;
    assert_eq!(waiting(&mut unit_of_work).await, []);
    assert_eq!(cancel(&mut unit_of_work).await, 0);
    ok("the transaction to commit", unit_of_work.commit()).await;
    assert_eq!(task_id(&*delivery), id);
    ok("it to be done", delivery.ack(&Outcome::Completed)).await;
}

/// The same key of another tenant is another, and no unit of work of this one touches it.
pub async fn the_same_key_of_another_tenant_is_not_touched<P: Provider>(provider: &P) {
    let other = Tenant::project(2_i64, 20_i64);
    let id = publish(provider, replacing(provider, other.clone(), seconds(5))).await;
    let mut unit_of_work = begin(provider, &tenant()).await;
    assert_eq!(cancel(&mut unit_of_work).await, 0);
    let refused = {
        let mut windows = unit_of_work.windows();
        soon("an answer", windows.cancel(&key_of(other.clone()), &reason())).await
    };
    assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    drop(unit_of_work);
    provider.advance(seconds(6)).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let delivery = next(&mut deliveries, "the other tenant's").await;
    assert_eq!(task_id(&*delivery), id);
}

/// After a task that is cancelled under its coalescing key, the next of its order key runs.
pub async fn after_one_that_is_cancelled_under_its_key_the_next_of_its_order_key_runs<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let first = TaskEnvelope {
        coalescing: Some(Coalescing::replace("invitation-7")),
        not_before: Some(after(provider.services().clock.now(), seconds(60))),
        ..messages.ordered_task("account-1")
    };
    let other = TaskEnvelope {
        coalescing: Some(Coalescing::replace("invitation-8")),
        ..messages.ordered_task("account-1")
    };
    let cancelled = publish(provider, first).await;
    let next_one = publish(provider, other).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    nothing_comes(&mut deliveries, "the one before it waits for its time").await;
    let mut unit_of_work = begin(provider, &tenant()).await;
    assert_eq!(cancel(&mut unit_of_work).await, 1);
    ok("the transaction to commit", unit_of_work.commit()).await;
    // Where the engine has to let the next one go, it does when it asks for orders.
    ok("the orders", provider.cancellations().outstanding(10)).await;
    let delivery = next(&mut deliveries, "the next of its order key").await;
    assert_eq!(task_id(&*delivery), next_one);
    let found = ok("the task to be looked up", provider.task_inspector().find(cancelled)).await;
    let ended = found.map(|task| (task.summary.state, task.summary.reason));
    assert_eq!(ended, Some((TaskState::Cancelled, Some("it was accepted".to_owned()))));
}
