//! Tasks that are held for a broker's queue, where a provider offers it: its own consumers run them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Limits, TaskEnvelope, Tenant, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Deliveries, Delivery, HeldKeys, HeldTask, HeldTasks, Outcome, TaskState};
use aftercommit_domain::time::{Clock, after, hours, seconds};
use tokio::task::JoinSet;

use crate::conformance::messages::{OTHER_TOPIC, TOPIC};
use crate::conformance::support::{consume, failure, lose_leases, next, nothing_comes, ok, soon, take, task_id};
use crate::conformance::{Messages, Provider};

/// The scenarios of held tasks: `held_tasks_conformance!(Provider)`, for a provider that holds some.
#[macro_export]
macro_rules! held_tasks_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            held_tasks,
            [
                a_held_task_runs_with_its_bytes_as_the_attempt_it_had_come_to,
                a_held_task_waits_its_time_and_tells_why,
                a_held_task_does_not_run_before_its_own_time,
                held_tasks_of_one_order_key_run_in_the_order_they_were_held,
                a_held_head_that_waits_holds_back_its_followers_only,
                an_id_that_is_held_is_not_added_again,
                concurrent_holds_of_one_id_add_it_once,
                a_held_key_is_named_until_its_tasks_are_over,
                a_task_held_with_a_lost_run_is_redelivered,
                a_held_task_reaches_a_waiting_consumer_at_once,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 10;

fn store<P: Provider>(provider: &P) -> Arc<dyn HeldTasks> {
    provider.held_tasks().expect("a provider that holds tasks")
}

/// The task as it would be at its first attempt.
fn held(task: TaskEnvelope) -> HeldTask {
    HeldTask {
        body: Arc::from(task.encode().into_bytes()),
        task,
        attempts: 0,
        wait: Duration::ZERO,
        failure: None,
        lost_runs: 0,
        is_aside: false,
    }
}

async fn hold<P: Provider>(provider: &P, tasks: Vec<HeldTask>) -> Vec<MessageId> {
    let ids = tasks.iter().map(|held| held.task.id).collect();
    ok("tasks to be held", store(provider).hold(tasks)).await;
    ids
}

async fn held_keys<P: Provider>(provider: &P, topic: &TopicName, orderings: &[String]) -> HeldKeys {
    ok("the held keys", store(provider).held_keys(topic, orderings)).await
}

async fn ack(delivery: Box<dyn Delivery>) {
    ok("a task to be acked", delivery.ack(&Outcome::Completed)).await;
}

/// A held task runs with the bytes it came with, as the attempt it had come to: the one after those that count, whatever its
/// envelope says.
pub async fn a_held_task_runs_with_its_bytes_as_the_attempt_it_had_come_to<P: Provider>(provider: &P) {
    let mut task = held(TaskEnvelope {
        attempt: 7,
        ..Messages::new(provider.services()).task()
    });
    // What a newer build may write.
    let text = task.task.encode().replacen('{', "{ \"of_tomorrow\" : 1.50,", 1);
    let known = TaskEnvelope::decode(text.as_bytes(), &Limits::default()).expect("what is not known is no obstacle");
    assert_eq!(known, task.task);
    task.body = Arc::from(text.clone().into_bytes());
    task.attempts = 2;
    hold(provider, vec![task]).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let delivery = next(&mut deliveries, "the held task").await;
    assert_eq!(delivery.task().topic, TOPIC);
    assert_eq!(&*delivery.task().body, text.as_bytes());
    assert_eq!((delivery.attempt(), delivery.redelivered()), (3, false));
    ack(delivery).await;
    nothing_comes(&mut deliveries, "it is over").await;
}

/// A held task waits its time; meanwhile one that failed is found with its failure, any other as scheduled.
pub async fn a_held_task_waits_its_time_and_tells_why<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    // Longer than most brokers can.
    let wait = hours(48);
    let failed = HeldTask {
        attempts: 1,
        wait,
        failure: Some(failure()),
        ..held(messages.task())
    };
    let delayed = HeldTask {
        wait: wait + seconds(10),
        ..held(messages.task())
    };
    let due = after(provider.services().clock.now(), wait);
    let ids = hold(provider, vec![failed, delayed]).await;
    let find = async |id| {
        let found = ok("the task to be looked up", provider.task_inspector().find(id)).await;
        found.expect("it is held")
    };
    let (first, second) = (find(ids[0]).await, find(ids[1]).await);
    assert_eq!(
        (first.summary.state, first.summary.attempts, first.summary.due_at),
        (TaskState::Retryable, 1, Some(due))
    );
    assert_eq!(
        (first.code.as_deref(), first.summary.reason.as_deref()),
        (Some("test.failed"), Some("it did not work"))
    );
    assert_eq!(
        (second.summary.state, second.code.as_deref()),
        (TaskState::Scheduled, None)
    );
    let mut deliveries = consume(provider, &TOPIC, 2).await;
    for (id, attempt) in [(ids[0], 2), (ids[1], 1)] {
        nothing_comes(&mut deliveries, "its time has not come").await;
        let is_first = id == ids[0];
        provider
            .advance(if is_first { wait + seconds(1) } else { seconds(10) })
            .await;
        let delivery = next(&mut deliveries, "the task at its time").await;
        assert_eq!((task_id(&*delivery), delivery.attempt()), (id, attempt));
        ack(delivery).await;
    }
}

/// A held task does not run before the time in its envelope, however short its wait is.
pub async fn a_held_task_does_not_run_before_its_own_time<P: Provider>(provider: &P) {
    let time = after(provider.services().clock.now(), hours(1));
    let task = HeldTask {
        wait: seconds(10),
        ..held(TaskEnvelope {
            not_before: Some(time),
            ..Messages::new(provider.services()).task()
        })
    };
    let ids = hold(provider, vec![task]).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    provider.advance(seconds(60)).await;
    nothing_comes(&mut deliveries, "its own time has not come").await;
    provider.advance(hours(1)).await;
    assert_eq!(task_id(&*next(&mut deliveries, "the task at its time").await), ids[0]);
}

/// Held tasks of one order key run one after another in the order they were held: in input order within a call, and those of
/// a later call behind all of an earlier one. Others do not wait for them.
pub async fn held_tasks_of_one_order_key_run_in_the_order_they_were_held<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let of = |key| held(messages.ordered_task(key));
    let first = hold(provider, vec![of("a"), of("b"), of("a")]).await;
    let mut deliveries = consume(provider, &TOPIC, 10).await;
    let mut running = take(&mut deliveries, 2).await;
    running.sort_by_key(|delivery| task_id(&**delivery) != first[0]);
    assert_eq!(
        running.iter().map(|task| task_id(&**task)).collect::<Vec<_>>(),
        first[..2]
    );
    // Also while one of them runs, and out of the order of their ids.
    let (early, late) = (of("a"), of("a"));
    let second = hold(provider, vec![late, held(messages.task()), early]).await;
    let unordered = next(&mut deliveries, "the one without a key").await;
    assert_eq!(task_id(&*unordered), second[1]);
    ack(running.pop().expect("two were taken")).await;
    let mut head = running.pop().expect("two were taken");
    for id in [first[2], second[0], second[2]] {
        nothing_comes(&mut deliveries, "a task of the key runs").await;
        ack(head).await;
        head = next(&mut deliveries, "the next of the key").await;
        assert_eq!(task_id(&*head), id);
    }
    ack(head).await;
}

/// A held head that waits for its retry holds back the followers that are held behind it, at once or later, and nobody else.
pub async fn a_held_head_that_waits_holds_back_its_followers_only<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let head = HeldTask {
        attempts: 1,
        wait: seconds(60),
        failure: Some(failure()),
        ..held(messages.ordered_task("a"))
    };
    let mut ids = hold(provider, vec![head, held(messages.ordered_task("a"))]).await;
    let later = vec![held(messages.ordered_task("a")), held(messages.ordered_task("b"))];
    ids.extend(hold(provider, later).await);
    let mut deliveries = consume(provider, &TOPIC, 10).await;
    let of_b = next(&mut deliveries, "the task of another key").await;
    assert_eq!(task_id(&*of_b), ids[3]);
    ack(of_b).await;
    nothing_comes(&mut deliveries, "the head waits").await;
    provider.advance(seconds(61)).await;
    for (place, id) in ids[..3].iter().enumerate() {
        let delivery = next(&mut deliveries, "the next of the key").await;
        let attempt = if place == 0 { 2 } else { 1 };
        assert_eq!((task_id(&*delivery), delivery.attempt()), (*id, attempt));
        ack(delivery).await;
    }
}

/// A task whose id is held, or runs, is not added again and stays as it was; one that is over may be held anew.
pub async fn an_id_that_is_held_is_not_added_again<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let task = held(messages.task());
    let again = HeldTask {
        attempts: 5,
        wait: hours(1),
        failure: Some(failure()),
        lost_runs: 1,
        ..task.clone()
    };
    hold(provider, vec![task.clone(), again.clone()]).await;
    // The others of the call are added all the same.
    let other = hold(provider, vec![again.clone(), held(messages.task())]).await[1];
    let mut deliveries = consume(provider, &TOPIC, 10).await;
    let mut running = take(&mut deliveries, 2).await;
    running.sort_by_key(|delivery| task_id(&**delivery) == other);
    assert_eq!(task_id(&*running[1]), other);
    assert_eq!(
        (task_id(&*running[0]), running[0].attempt(), running[0].redelivered()),
        (task.task.id, 1, false)
    );
    hold(provider, vec![again]).await;
    nothing_comes(&mut deliveries, "it runs already").await;
    for delivery in running {
        ack(delivery).await;
    }
    nothing_comes(&mut deliveries, "it was added once").await;
    hold(provider, vec![task.clone()]).await;
    let delivery = next(&mut deliveries, "the task, held anew").await;
    assert_eq!(task_id(&*delivery), task.task.id);
    hold(provider, Vec::new()).await;
}

/// However many hold one task at once, it is added once; none of them fails.
pub async fn concurrent_holds_of_one_id_add_it_once<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    // With a neighbour of its key, so that the calls also meet at the key.
    let tasks = vec![held(messages.ordered_task("a")), held(messages.ordered_task("a"))];
    let mut holders = JoinSet::new();
    for _ in 0..8 {
        let (store, tasks) = (store(provider), tasks.clone());
        holders.spawn(async move { ok("tasks to be held", store.hold(tasks)).await });
    }
    soon("all of them to be held", holders.join_all()).await;
    let mut deliveries = consume(provider, &TOPIC, 10).await;
    for task in &tasks {
        let delivery = next(&mut deliveries, "the next of the key").await;
        assert_eq!(task_id(&*delivery), task.task.id);
        nothing_comes(&mut deliveries, "it runs, and is there once").await;
        ack(delivery).await;
    }
    nothing_comes(&mut deliveries, "both are over").await;
}

/// A key is named as held until all its tasks are over, whether they wait or run; keys of other tenants and topics are other
/// keys. Whether any key of the topic is held is told whatever is asked for.
pub async fn a_held_key_is_named_until_its_tasks_are_over<P: Provider>(provider: &P) {
    let own = Messages::new(provider.services());
    let foreign = Messages::of(provider.services(), Tenant::project(2_i64, 20_i64));
    let (a, b, parcel) = (own.ordered_task("a"), own.ordered_task("b"), own.ordered_task("c"));
    let parcel = TaskEnvelope {
        topic: OTHER_TOPIC,
        ..parcel
    };
    let key_of = |task: &TaskEnvelope| task.ordering().expect("it has a key");
    let key = key_of(&a);
    let asked = [
        key.clone(),
        key_of(&parcel),
        key_of(&foreign.ordered_task("a")),
        key_of(&own.ordered_task("of nobody")),
    ];
    let expected = |is_held: bool, has_any| HeldKeys {
        keys: is_held.then(|| key.clone()).into_iter().collect::<HashSet<_>>(),
        has_any,
    };
    let keys = async || held_keys(provider, &TOPIC, &asked).await;
    assert_eq!(keys().await, expected(false, false));
    hold(provider, vec![held(own.task())]).await;
    assert_eq!(keys().await, expected(false, false), "a task without a key has none");
    let follower = own.ordered_task("a");
    let ids = hold(provider, [a, follower, b, parcel].map(held).to_vec()).await;
    assert_eq!(keys().await, expected(true, true));
    assert_eq!(held_keys(provider, &TOPIC, &[]).await, expected(false, true));
    let others = held_keys(provider, &OTHER_TOPIC, &asked).await;
    assert_eq!(others.keys, HashSet::from([asked[1].clone()]));
    let mut deliveries = consume(provider, &TOPIC, 10).await;
    let mut running = take(&mut deliveries, 3).await;
    running.sort_by_key(|delivery| ids.iter().position(|id| *id == task_id(&**delivery)));
    let (_unordered, head, of_b) = (running.remove(0), running.remove(0), running.remove(0));
    assert_eq!(keys().await, expected(true, true), "it runs");
    ok("a retry", head.retry(seconds(60), true, Some(&failure()))).await;
    assert_eq!(keys().await, expected(true, true), "it waits for its retry");
    provider.advance(seconds(61)).await;
    ack(next(&mut deliveries, "the head again").await).await;
    assert_eq!(keys().await, expected(true, true), "its follower is not over");
    ack(next(&mut deliveries, "the follower").await).await;
    assert_eq!(keys().await, expected(false, true), "another key is held");
    ok("a dead letter", of_b.dead_letter(&failure())).await;
    assert_eq!(keys().await, expected(false, false), "none is held");
}

/// A task held with a run that may have been lost is redelivered, and one more lost run neither counts nor ends it.
pub async fn a_task_held_with_a_lost_run_is_redelivered<P: Provider>(provider: &P) {
    let task = HeldTask {
        attempts: 1,
        lost_runs: 1,
        ..held(Messages::new(provider.services()).task())
    };
    let ids = hold(provider, vec![task]).await;
    let mut deliveries: Box<dyn Deliveries> = consume(provider, &TOPIC, 1).await;
    for run in 0..2 {
        let delivery = next(&mut deliveries, "the task").await;
        assert_eq!(
            (task_id(&*delivery), delivery.attempt(), delivery.redelivered()),
            (ids[0], 2, true)
        );
        if run == 0 {
            drop(delivery);
            lose_leases(provider).await;
        } else {
            ack(delivery).await;
        }
    }
}

/// A held task that is due reaches a waiting consumer the moment it is held, not at its next poll.
pub async fn a_held_task_reaches_a_waiting_consumer_at_once<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    // Each round waits anew; a consumer that polls once a second could not make forty rounds in time.
    let rounds = async {
        for _ in 0..40 {
            let task = held(messages.task());
            let (delivery, ids) = futures::join!(next(&mut deliveries, "the task"), async {
                tokio::task::yield_now().await;
                hold(provider, vec![task]).await
            });
            assert_eq!(task_id(&*delivery), ids[0]);
            ack(delivery).await;
        }
    };
    soon("forty tasks, one after another", rounds).await;
}
