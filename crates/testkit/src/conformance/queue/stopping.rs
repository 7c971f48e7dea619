//! What stopping a consumer promises.

use std::time::Duration;

use aftercommit_domain::tasks::{DeadLetterFilter, Outcome};

use crate::conformance::messages::TOPIC;
use crate::conformance::support::{consume, failure, next, nothing_comes, ok, publish, soon, take, task_id};
use crate::conformance::{Messages, Provider};

/// A stopped consumer gives back what it took and did not hand out: others get it at once, or where the tasks of a key stay
/// with one consumer as soon as what was handed out is settled; and it was no attempt.
pub async fn a_stopped_consumer_gives_back_what_it_did_not_hand_out<P: Provider>(provider: &P) {
    let mut ids = publish(provider, Messages::new(provider.services()).tasks(5)).await;
    let mut deliveries = consume(provider, &TOPIC, 5).await;
    let held = next(&mut deliveries, "the first task").await;
    ids.retain(|id| *id != task_id(&*held));
    let mut kept = None;
    soon("the consumer to stop", deliveries.stop()).await;
    let mut other = consume(provider, &TOPIC, 10).await;
    if provider
        .queue_publisher()
        .capabilities()
        .keeps_order_keys_on_one_consumer
    {
        ok("the handed-out task to be acked", held.ack(&Outcome::Completed)).await;
    } else {
        kept = Some(held);
    }
    let rest = take(&mut other, 4).await;
    assert!(rest.iter().all(|delivery| delivery.attempt() == 1));
    let mut found: Vec<_> = rest.iter().map(|delivery| task_id(&**delivery)).collect();
    found.sort();
    ids.sort();
    assert_eq!(found, ids);
    nothing_comes(&mut other, "the one that was handed out is still held, or over").await;
    drop(kept);
}

/// What was handed out before a stop can still be settled, in every way.
pub async fn what_was_handed_out_before_a_stop_can_still_be_settled<P: Provider>(provider: &P) {
    let ids = publish(provider, Messages::new(provider.services()).tasks(4)).await;
    let mut deliveries = consume(provider, &TOPIC, 4).await;
    let mut held = take(&mut deliveries, 4).await.into_iter();
    soon("the consumer to stop", deliveries.stop()).await;
    let mut one = || held.next().expect("four were taken");
    let mut expected = ids.clone();
    let (acked, retried, dead, given_back) = (one(), one(), one(), one());
    expected.retain(|id| *id != task_id(&*acked) && *id != task_id(&*dead));
    ok("an ack after the stop", acked.ack(&Outcome::Completed)).await;
    ok(
        "a retry after the stop",
        retried.retry(Duration::ZERO, true, Some(&failure())),
    )
    .await;
    ok("a dead letter after the stop", dead.dead_letter(&failure())).await;
    ok("a give-back after the stop", given_back.give_back()).await;
    let mut other = consume(provider, &TOPIC, 10).await;
    let rest = take(&mut other, 2).await;
    let mut found: Vec<_> = rest.iter().map(|delivery| task_id(&**delivery)).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    nothing_comes(&mut other, "the others are over").await;
    let letters = ok(
        "dead letters",
        provider.dead_letters().list(&DeadLetterFilter::default()),
    )
    .await;
    assert_eq!(letters.len(), 1);
}

/// A stopped consumer answers that it was stopped, and hands out nothing more; others go on.
pub async fn a_stopped_consumer_hands_out_nothing_more<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let mut deliveries = consume(provider, &TOPIC, 5).await;
    let mut other = consume(provider, &TOPIC, 5).await;
    soon("the consumer to stop", deliveries.stop()).await;
    let ids = publish(provider, vec![messages.task()]).await;
    for _ in 0..2 {
        let ended = ok("the end of a stopped consumer", deliveries.next()).await;
        assert!(ended.is_none(), "a stopped consumer answers that it was stopped");
    }
    assert_eq!(task_id(&*next(&mut other, "the task").await), ids[0]);
    soon("a second stop", deliveries.stop()).await;
}
