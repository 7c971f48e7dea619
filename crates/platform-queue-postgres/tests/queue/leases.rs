//! Two processes and one task.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Outcome, QueueMaintenance as _, SettleError};
use aftercommit_testkit::conformance::support::{PAST_LEASE, QUIET, next, nothing_comes, ok, soon, take};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::rig::Rig;
use crate::steps::id_of;

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_never_have_one_task_at_once_while_their_leases_hold() {
    let rig = Rig::start().await;
    let other = rig.another(2).await;
    let all = 600;
    let mut expected = HashSet::new();
    for _ in 0..3 {
        expected.extend(rig.process.publish(rig.messages().tasks(all / 3)).await);
    }
    let running: Arc<Mutex<HashSet<MessageId>>> = Arc::default();
    let done: Arc<Mutex<HashSet<MessageId>>> = Arc::default();
    let (mut workers, all_done) = (JoinSet::new(), CancellationToken::new());
    for number in 0..6 {
        let process = if number % 2 == 0 { &rig.process } else { &other };
        let mut deliveries = process.consume(7).await;
        let (running, done, all_done) = (Arc::clone(&running), Arc::clone(&done), all_done.clone());
        workers.spawn(async move {
            let mut turn: usize = number;
            loop {
                let delivery = tokio::select! {
                    delivery = deliveries.next() => delivery.unwrap().unwrap(),
                    () = all_done.cancelled() => return,
                };
                let id = id_of(&*delivery);
                assert!(running.lock().unwrap().insert(id), "{id} is in two hands");
                tokio::task::yield_now().await;
                running.lock().unwrap().remove(&id);
                turn += 1;
                match turn % 5 {
                    0 => ok("a give-back", delivery.give_back()).await,
                    1 => ok("a retry", delivery.retry(Duration::ZERO, true, None)).await,
                    _ => {
                        let is_last = {
                            let mut done = done.lock().unwrap();
                            assert!(done.insert(id), "{id} was done twice");
                            done.len() == all
                        };
                        ok("an ack", delivery.ack(&Outcome::Completed)).await;
                        if is_last {
                            all_done.cancel();
                        }
                    }
                }
            }
        });
    }
    soon("all tasks to be done", workers.join_all()).await;
    assert_eq!(*done.lock().unwrap(), expected);
    other.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_process_that_was_paused_past_its_lease_changes_nothing_any_more_and_says_so() {
    let rig = Rig::start().await;
    let other = rig.another(2).await;
    let mut ids = rig.process.publish(rig.messages().tasks(5)).await;
    let mut paused = rig.process.consume(5).await;
    let held = next(&mut paused, "a task").await;
    rig.advance(PAST_LEASE).await;
    // Only the other one looks: this one is paused.
    assert_eq!(ok("a rescue", other.queue.rescue_expired()).await, 5);
    let mut deliveries = other.consume(5).await;
    let taken = take(&mut deliveries, 5).await;
    let late = soon("an answer", held.ack(&Outcome::Completed)).await;
    assert!(matches!(late, Err(SettleError::Stale)), "{late:?}");
    // Its next sign of life comes too late; what it had fetched ahead is forgotten.
    ok("a look", rig.process.queue.rescue_expired()).await;
    let refused = soon("an answer", paused.next()).await;
    assert!(refused.is_err(), "its lease was lost");
    let mut found: Vec<_> = taken.iter().map(|delivery| id_of(&**delivery)).collect();
    found.sort();
    ids.sort();
    assert_eq!(found, ids);
    for delivery in taken {
        ok("an ack", delivery.ack(&Outcome::Completed)).await;
    }
    // Consuming again is all it takes.
    let mut again = rig.process.consume(1).await;
    let new = rig.process.publish(rig.messages().tasks(1)).await;
    let delivery = soon("a task for either", async {
        tokio::select! {
            delivery = again.next() => delivery,
            delivery = deliveries.next() => delivery,
        }
    })
    .await;
    assert_eq!(id_of(&*delivery.unwrap().unwrap()), new[0]);
    other.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_consumer_whose_renewals_are_not_answered_hands_out_nothing_until_they_are() {
    let rig = Rig::start().await;
    let ids = rig.process.publish(rig.messages().tasks(4)).await;
    let lease = Duration::from_millis(600);
    let mut deliveries = rig.process.consume_with_lease(4, lease).await;
    assert_eq!(id_of(&*next(&mut deliveries, "the first").await), ids[0]);
    // Nobody else can be told that this process lives.
    let mut blocking = rig.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE aftercommit.consumers IN EXCLUSIVE MODE")
        .execute(&mut *blocking)
        .await
        .unwrap();
    let handed_out = tokio::time::timeout(lease + QUIET, async {
        for id in &ids[1..] {
            assert_eq!(id_of(&*deliveries.next().await.unwrap().unwrap()), *id);
            // Three in two leases: the last one falls into a time nobody can vouch for.
            tokio::time::sleep(lease / 2).await;
        }
    })
    .await;
    assert!(handed_out.is_err(), "its lease may be over");
    blocking.commit().await.unwrap();
    next(&mut deliveries, "the last, once the lease was renewed").await;
    rig.stop().await;
}

#[tokio::test]
async fn what_is_still_being_run_after_a_stop_stays_taken_however_long_it_takes() {
    let rig = Rig::start().await;
    let other = rig.another(2).await;
    rig.process.publish(rig.messages().tasks(1)).await;
    let mut deliveries = rig.process.consume(1).await;
    let held = next(&mut deliveries, "the task").await;
    soon("the consumer to stop", deliveries.stop()).await;
    drop(deliveries);
    for _ in 0..3 {
        rig.advance(PAST_LEASE).await;
        // Looking, it gives a sign of life itself.
        assert_eq!(ok("a look", rig.process.queue.rescue_expired()).await, 0);
        assert_eq!(ok("a look", other.queue.rescue_expired()).await, 0);
        let mut others = other.consume(1).await;
        nothing_comes(&mut others, "it is still being run").await;
    }
    ok("an ack", held.ack(&Outcome::Completed)).await;
    other.stop().await;
    rig.stop().await;
}
