//! Slots that come before the task of the last one is over, and runs by hand.

use std::time::Duration;

use aftercommit_domain::tasks::{DeadLetter, Outcome, Overlap, Schedule, TickOutcome};
use aftercommit_domain::time::{after, seconds};

use super::Scene;
use super::scene::{MINUTE, each_minute, seen};
use crate::conformance::Provider;
use crate::conformance::messages::TOPIC;
use crate::conformance::support::{consume, failure, next, ok, soon, task_id};

fn without_overlap() -> Schedule {
    Schedule {
        overlap: Overlap::Skip,
        ..each_minute("a")
    }
}

/// While the last task is in the outbox, waits for a worker, runs or waits for its retry, slots are skipped; then they fire.
pub async fn a_slot_does_not_fire_before_the_task_of_the_last_one_is_over<P: Provider>(provider: &P) {
    use TickOutcome::{Fired, SkippedOverlap};
    let scene = Scene::begin(provider).await;
    scene.put(&without_overlap()).await;
    scene.advance(MINUTE).await;
    let first = scene.tick().await;
    assert_eq!(seen(&first), [(Fired, 1)]);
    scene.advance(MINUTE).await;
    assert_eq!(scene.seen().await, [(SkippedOverlap, 1)], "it is in the outbox");
    assert_eq!(scene.relay().await, [first[0].task.expect("it fired")]);
    scene.advance(MINUTE).await;
    assert_eq!(scene.seen().await, [(SkippedOverlap, 1)], "it waits for a worker");
    let mut consumer = consume(provider, &TOPIC, 1).await;
    let delivery = next(&mut consumer, "the task").await;
    assert_eq!(Some(task_id(&*delivery)), first[0].task);
    scene.advance(seconds(20)).await;
    let wait = Duration::from_secs(90);
    ok("it to be retried", delivery.retry(wait, true, Some(&failure()))).await;
    scene.advance(seconds(40)).await;
    assert_eq!(scene.seen().await, [(SkippedOverlap, 1)], "it waits for its retry");
    scene.advance(MINUTE).await;
    let delivery = next(&mut consumer, "its retry").await;
    assert_eq!(scene.seen().await, [(SkippedOverlap, 1)], "it runs");
    ok("it to be acked", delivery.ack(&Outcome::Completed)).await;
    scene.advance(MINUTE).await;
    let second = scene.tick().await;
    assert_eq!(seen(&second), [(Fired, 1)], "it is over");
    assert_ne!(second[0].task, first[0].task);
    assert_eq!(scene.relay().await, [second[0].task.expect("it fired")]);
    let delivery = next(&mut consumer, "the next task").await;
    assert_eq!(Some(task_id(&*delivery)), second[0].task);
    ok("it to be acked", delivery.ack(&Outcome::Completed)).await;
    soon("the consumer to stop", consumer.stop()).await;
}

/// A dead letter is over.
pub async fn a_slot_fires_when_the_task_of_the_last_one_is_dead<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    scene.put(&without_overlap()).await;
    scene.advance(MINUTE).await;
    scene.tick().await;
    scene.relay().await;
    let mut consumer = consume(provider, &TOPIC, 1).await;
    let delivery = next(&mut consumer, "the task").await;
    ok("it to be dead-lettered", delivery.dead_letter(&failure())).await;
    scene.advance(MINUTE).await;
    assert_eq!(scene.seen().await, [(TickOutcome::Fired, 1)]);
    let letters: Vec<DeadLetter> = ok(
        "the dead letters",
        provider
            .dead_letters()
            .list(&aftercommit_domain::tasks::DeadLetterFilter::default()),
    )
    .await;
    assert_eq!(letters.len(), 1);
}

/// Where it is allowed, nothing is skipped.
pub async fn a_slot_fires_all_the_same_where_overlapping_is_allowed<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    scene.put(&each_minute("a")).await;
    for _ in 0..3 {
        scene.advance(MINUTE).await;
        assert_eq!(scene.seen().await, [(TickOutcome::Fired, 1)]);
    }
    assert_eq!(scene.published().await.len(), 3);
}

/// A run by hand fires at once, is recorded with who ordered it, and changes no slot; also in a pause.
pub async fn a_run_by_hand_is_recorded_with_who_ordered_it_and_moves_no_slot<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let minutely = each_minute("a");
    scene.put(&minutely).await;
    scene.advance(seconds(20)).await;
    let before = scene.kept(&minutely.id).await;
    let ran = ok("it to run", scene.schedules.run_now(&minutely.id, "ada")).await;
    let tick = ran.expect("the schedule is there");
    assert_eq!((tick.outcome, tick.by.as_deref()), (TickOutcome::Fired, Some("ada")));
    assert_eq!((tick.slot, tick.slots), (scene.now(), 1));
    let tasks = scene.published().await;
    assert_eq!(tasks.len(), 1);
    assert_eq!((Some(tasks[0].id), tasks[0].slot), (tick.task, Some(scene.now())));
    assert_eq!(scene.kept(&minutely.id).await.next_slot, before.next_slot);
    scene.advance(seconds(40)).await;
    let at_slot = scene.tick().await;
    assert_eq!(seen(&at_slot), [(TickOutcome::Fired, 1)]);
    // On the very slot, which was decided about.
    let again = ok("it to run", scene.schedules.run_now(&minutely.id, "ada")).await;
    assert_eq!(again.map(|tick| tick.slot), Some(at_slot[0].slot));
    assert_eq!(scene.history(&minutely.id).await.len(), 3);
    let nobody = ok("it to run", scene.schedules.run_now(&each_minute("b").id, "ada")).await;
    assert_eq!(nobody, None);
    assert_eq!(
        at_slot[0].slot,
        after(before.next_slot.expect("it has one"), Duration::ZERO)
    );
}

/// Where overlapping is not allowed, a run by hand is skipped while the last task is not over, and holds back slots itself.
pub async fn a_run_by_hand_does_not_overlap_either<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let schedule = without_overlap();
    scene.put(&schedule).await;
    let run = || async { ok("it to run", scene.schedules.run_now(&schedule.id, "ada")).await };
    let first = run().await.expect("the schedule is there");
    assert_eq!(first.outcome, TickOutcome::Fired);
    scene.advance(MINUTE).await;
    assert_eq!(scene.seen().await, [(TickOutcome::SkippedOverlap, 1)]);
    let second = run().await.expect("the schedule is there");
    assert_eq!((second.outcome, second.task), (TickOutcome::SkippedOverlap, None));
    assert_eq!(scene.relay().await, [first.task.expect("it fired")]);
}
