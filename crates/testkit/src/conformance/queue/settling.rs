//! What settling promises.

use aftercommit_domain::tasks::{DeadLetterFilter, Outcome, Reason, TaskDetails, TaskState};
use aftercommit_domain::time::{Clock, hours};

use crate::conformance::messages::TOPIC;
use crate::conformance::support::{consume, failure, next, nothing_comes, ok, publish, soon, task_id};
use crate::conformance::{Messages, Provider};

/// An acked task is gone; when it did not succeed, its outcome is recorded with its reason.
pub async fn an_acked_task_is_gone_and_its_outcome_is_recorded<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let mut deliveries = consume(provider, &TOPIC, 2).await;
    let reason = || Reason::new("invitation is gone");
    let table = [
        (Outcome::Skipped(reason()), TaskState::Skipped),
        (Outcome::Cancelled(reason()), TaskState::Cancelled),
    ];
    for (outcome, state) in table {
        let ids = publish(provider, vec![messages.task()]).await;
        let delivery = next(&mut deliveries, "the task").await;
        ok("the task to be acked", delivery.ack(&outcome)).await;
        nothing_comes(&mut deliveries, "it is over").await;
        let found: Option<TaskDetails> = ok("the task to be found", provider.task_inspector().find(ids[0])).await;
        let found = found.expect("its outcome is recorded");
        assert_eq!((found.summary.id, found.summary.state), (ids[0], state));
        assert_eq!(found.summary.reason.as_deref(), Some("invitation is gone"));
        assert_eq!(found.summary.attempts, 1);
        assert!(found.summary.finished_at.is_some() && found.payload.is_none());
    }
    publish(provider, vec![messages.task()]).await;
    let delivery = next(&mut deliveries, "a task that succeeds").await;
    ok("the task to be acked", delivery.ack(&Outcome::Completed)).await;
    nothing_comes(&mut deliveries, "it is over").await;
    let letters = ok(
        "dead letters",
        provider.dead_letters().list(&DeadLetterFilter::default()),
    )
    .await;
    assert!(letters.is_empty(), "none of them died");
}

/// A given-back task is available at once, as if it had not been taken.
pub async fn a_given_back_task_is_available_at_once_as_the_same_attempt<P: Provider>(provider: &P) {
    let ids = publish(provider, vec![Messages::new(provider.services()).task()]).await;
    let mut first = consume(provider, &TOPIC, 1).await;
    let mut second = consume(provider, &TOPIC, 1).await;
    for _ in 0..3 {
        let delivery = next(&mut first, "the task").await;
        ok("it to be given back", delivery.give_back()).await;
        // Another consumer must get it as well as the same one.
        std::mem::swap(&mut first, &mut second);
    }
    let delivery = next(&mut first, "the task").await;
    assert_eq!((task_id(&*delivery), delivery.attempt()), (ids[0], 1));
}

/// A given-back task keeps its place: the later ones of its order key still wait for it.
pub async fn a_given_back_task_keeps_its_place_in_its_order<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let ids = publish(provider, vec![messages.ordered_task("a"), messages.ordered_task("a")]).await;
    let mut deliveries = consume(provider, &TOPIC, 5).await;
    let delivery = next(&mut deliveries, "the head").await;
    ok("it to be given back", delivery.give_back()).await;
    let again = next(&mut deliveries, "the head again").await;
    assert_eq!(task_id(&*again), ids[0]);
    nothing_comes(&mut deliveries, "the head runs").await;
}

/// What settling frees, a given-back task or the follower of one that is over, reaches a waiting consumer at once; where the
/// tasks of a key stay with one consumer, that one, which waits for its next.
pub async fn what_settling_frees_reaches_a_waiting_consumer_at_once<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let mut one = consume(provider, &TOPIC, 1).await;
    let mut waiting = consume(provider, &TOPIC, 1).await;
    let stays = provider
        .queue_publisher()
        .capabilities()
        .keeps_order_keys_on_one_consumer;
    // Many rounds, so that a consumer that only polls could not make them in time.
    let rounds = async {
        for round in 0..30 {
            let tasks = vec![messages.ordered_task("a"), messages.ordered_task("a")];
            let ids = publish(provider, tasks).await;
            let head = next(&mut one, "the head").await;
            assert_eq!(task_id(&*head), ids[0]);
            let waiting = if stays { &mut one } else { &mut waiting };
            let (freed, ()) = futures::join!(next(waiting, "what was freed"), async {
                tokio::task::yield_now().await;
                match round % 3 {
                    0 => ok("an ack", head.ack(&Outcome::Completed)).await,
                    1 => ok("a dead letter", head.dead_letter(&failure())).await,
                    _ => ok("a give-back", head.give_back()).await,
                }
            });
            let given_back = round % 3 == 2;
            let expected = if given_back { ids[0] } else { ids[1] };
            assert_eq!(task_id(&*freed), expected);
            ok("it to be acked", freed.ack(&Outcome::Completed)).await;
            if given_back {
                let follower = next(waiting, "the follower").await;
                ok("it to be acked", follower.ack(&Outcome::Completed)).await;
            }
        }
    };
    soon("thirty tasks to be freed, one after another", rounds).await;
}

/// Old outcomes are forgotten, a limited number at a time; younger ones stay.
pub async fn outcomes_are_forgotten_when_they_are_old<P: Provider>(provider: &P) {
    let (messages, maintenance) = (Messages::new(provider.services()), provider.queue_maintenance());
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.extend(publish(provider, vec![messages.task()]).await);
        let delivery = next(&mut deliveries, "the task").await;
        ok(
            "the task to be acked",
            delivery.ack(&Outcome::Skipped(Reason::new("gone"))),
        )
        .await;
        provider.advance(hours(1)).await;
    }
    // The last hour's only.
    let before = provider.services().clock.now() - chrono::Duration::minutes(90);
    let mut forgotten = Vec::new();
    for _ in 0..3 {
        forgotten.push(ok("outcomes to be forgotten", maintenance.prune_outcomes(before, 2)).await);
    }
    assert_eq!(forgotten, [2, 1, 0]);
    for (place, id) in ids.into_iter().enumerate() {
        let found = ok("the task to be looked up", provider.task_inspector().find(id)).await;
        assert_eq!(found.is_some(), place == 3, "task {place}");
    }
}
