//! What publishing promises.

use aftercommit_domain::failure::Classified;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Outcome, PublishError, Published};
use tokio::task::JoinSet;

use crate::conformance::messages::TOPIC;
use crate::conformance::support::{consume, envelope, next, nothing_comes, ok, publish, soon, take, task_id};
use crate::conformance::{Messages, Provider};

/// One result for each task, in input order.
pub async fn publish_answers_for_each_task_in_input_order<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let (first, second, large) = (messages.task(), messages.task(), messages.too_large_task());
    let (first_id, second_id) = (first.id, second.id);
    let call = vec![first.clone(), large, second, first];
    let results = soon("the answer", provider.queue_publisher().publish(call)).await;
    assert_eq!(results.len(), 4);
    assert!(
        matches!(results[0], Ok(Published::Enqueued(id)) if id == first_id),
        "{results:?}"
    );
    assert!(matches!(results[1], Err(PublishError::Invalid { .. })), "{results:?}");
    assert!(
        matches!(results[2], Ok(Published::Enqueued(id)) if id == second_id),
        "{results:?}"
    );
    assert!(is_again(provider, &results[3], first_id), "{results:?}");
    let none = soon("the answer", provider.queue_publisher().publish(Vec::new())).await;
    assert!(none.is_empty());
}

/// `Ok` of publishing means that any consumer can take the task.
pub async fn a_published_task_can_be_taken_by_another_consumer<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    for _ in 0..3 {
        let ids = publish(provider, vec![messages.task()]).await;
        // A new consumer each time: nothing may depend on one that was there before.
        let mut deliveries = consume(provider, &TOPIC, 1).await;
        let delivery = next(&mut deliveries, "the task").await;
        assert_eq!(task_id(&*delivery), ids[0]);
        ok("the task to be acked", delivery.ack(&Outcome::Completed)).await;
    }
}

/// A task arrives as it was published, as its first attempt.
pub async fn a_task_arrives_as_it_was_published<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let task = messages.ordered_task("key");
    publish(provider, vec![task.clone()]).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let delivery = next(&mut deliveries, "the task").await;
    assert_eq!(envelope(&*delivery), task);
    assert_eq!(delivery.task().topic, TOPIC);
    assert_eq!((delivery.attempt(), delivery.redelivered()), (1, false));
}

/// Whether this is what a queue answers to an id it has.
fn is_again<P: Provider>(provider: &P, result: &Result<Published, PublishError>, id: MessageId) -> bool {
    let deduplicates = provider.queue_publisher().capabilities().deduplicates;
    match result {
        Ok(Published::AlreadyThere(there)) => *there == id,
        Ok(Published::Enqueued(enqueued)) => !deduplicates && *enqueued == id,
        Ok(_) | Err(_) => false,
    }
}

/// A queue that deduplicates does not add a task whose id already waits or runs; any other delivers each under that id.
pub async fn an_id_that_waits_or_runs_is_not_added_again<P: Provider>(provider: &P) {
    let deduplicates = provider.queue_publisher().capabilities().deduplicates;
    let task = Messages::new(provider.services()).task();
    publish(provider, vec![task.clone()]).await;
    let again = async || {
        let results = soon("the answer", provider.queue_publisher().publish(vec![task.clone()])).await;
        assert_eq!(results.len(), 1);
        assert!(is_again(provider, &results[0], task.id), "{results:?}");
    };
    again().await;
    let mut deliveries = consume(provider, &TOPIC, 3).await;
    let delivery = next(&mut deliveries, "the task").await;
    again().await;
    if deduplicates {
        nothing_comes(&mut deliveries, "the task runs already").await;
        ok("the task to be acked", delivery.ack(&Outcome::Completed)).await;
        nothing_comes(&mut deliveries, "the task was added once").await;
    } else {
        let copies = take(&mut deliveries, 2).await;
        assert!(copies.iter().all(|copy| task_id(&**copy) == task.id));
    }
}

/// However many publish one id at once, a queue that deduplicates adds it once; any other loses none.
pub async fn concurrent_publishers_of_one_id_add_it_once<P: Provider>(provider: &P) {
    let deduplicates = provider.queue_publisher().capabilities().deduplicates;
    let task = Messages::new(provider.services()).task();
    let mut publishers = JoinSet::new();
    for _ in 0..8 {
        let (publisher, task) = (provider.queue_publisher(), task.clone());
        publishers.spawn(async move { soon("the answer", publisher.publish(vec![task])).await });
    }
    let mut added = 0;
    while let Some(results) = publishers.join_next().await {
        let results = results.expect("a publisher ends well");
        assert_eq!(results.len(), 1);
        if matches!(results[0], Ok(Published::Enqueued(_))) {
            added += 1;
        } else {
            assert!(is_again(provider, &results[0], task.id), "{results:?}");
        }
    }
    let expected = if deduplicates { 1 } else { 8 };
    assert_eq!(added, expected);
    let mut deliveries = consume(provider, &TOPIC, 10).await;
    let _held = take(&mut deliveries, expected).await;
    nothing_comes(&mut deliveries, "nothing else was added").await;
}

/// One invalid task never spoils another.
pub async fn an_invalid_task_does_not_spoil_others<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let (good, other) = (messages.task(), messages.task());
    let mut expected = vec![good.id, other.id];
    let call = vec![messages.too_large_task(), good, messages.too_large_task(), other];
    let results = soon("the answer", provider.queue_publisher().publish(call)).await;
    let codes: Vec<Option<&str>> = results
        .iter()
        .map(|result| result.as_ref().err().map(Classified::code))
        .collect();
    let large = Some("envelope.too_large");
    assert_eq!(codes, [large, None, large, None]);
    let mut deliveries = consume(provider, &TOPIC, 5).await;
    let held = take(&mut deliveries, 2).await;
    let mut found: Vec<_> = held.iter().map(|delivery| task_id(&**delivery)).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    nothing_comes(&mut deliveries, "the others were refused").await;
}

/// After an invalid task the later ones of its order key in the same call are not published; all others are.
pub async fn after_an_invalid_task_the_later_ones_of_its_order_key_are_not_published<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let mut large = messages.too_large_task();
    large.order_key.clone_from(&messages.ordered_task("a").order_key);
    let call = vec![
        messages.ordered_task("a"),
        large,
        messages.ordered_task("a"),
        messages.ordered_task("b"),
        messages.task(),
    ];
    let results = soon("the answer", provider.queue_publisher().publish(call)).await;
    let codes: Vec<Option<&str>> = results
        .iter()
        .map(|result| result.as_ref().err().map(Classified::code))
        .collect();
    assert_eq!(
        codes,
        [None, Some("envelope.too_large"), Some("queue.blocked"), None, None]
    );
}

/// A waiting consumer gets a task the moment it is published, not at its next poll.
pub async fn a_waiting_consumer_gets_a_task_the_moment_it_is_published<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    // Each round waits anew; a consumer that polls once a second could not make forty rounds in time.
    let rounds = async {
        for _ in 0..40 {
            let task = messages.task();
            let id = task.id;
            let (delivery, _) = futures::join!(next(&mut deliveries, "the task"), async {
                tokio::task::yield_now().await;
                publish(provider, vec![task]).await
            });
            assert_eq!(task_id(&*delivery), id);
            ok("the task to be acked", delivery.ack(&Outcome::Completed)).await;
        }
    };
    soon("forty tasks, one after another", rounds).await;
}
