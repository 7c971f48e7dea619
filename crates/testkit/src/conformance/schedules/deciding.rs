//! What becomes of slots, once.

use std::collections::HashSet;
use std::time::Duration;

use aftercommit_domain::tasks::{Misfire, Overlap, Schedule, TickOutcome, TickPlan};
use aftercommit_domain::time::{after, days, seconds};
use futures::future::join_all;

use super::Scene;
use super::scene::{MINUTE, each_minute, schedule, seen};
use crate::conformance::Provider;
use crate::conformance::support::ok;

/// A slot that is due writes its task into the outbox, with the slot, and is recorded; the schedule moves on.
pub async fn a_slot_publishes_its_task_through_the_outbox_and_is_recorded<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let start = scene.now();
    let minutely = each_minute("a");
    scene.put(&minutely).await;
    assert!(scene.tick().await.is_empty(), "nothing is due yet");
    let slot = after(start, MINUTE);
    assert_eq!(scene.kept(&minutely.id).await.next_slot, Some(slot));
    scene.advance(MINUTE).await;
    let ticks = scene.tick().await;
    assert_eq!(seen(&ticks), [(TickOutcome::Fired, 1)]);
    assert_eq!((ticks[0].slot, ticks[0].last_slot, ticks[0].at), (slot, slot, slot));
    assert!(scene.tick().await.is_empty(), "it was decided about");
    assert_eq!(scene.history(&minutely.id).await, ticks);
    let tasks = scene.published().await;
    assert_eq!(tasks, [minutely.task_of_slot(slot, slot)]);
    assert_eq!((tasks[0].slot, Some(tasks[0].id)), (Some(slot), ticks[0].task));
    let kept = scene.kept(&minutely.id).await;
    assert_eq!(kept.next_slot, Some(after(slot, MINUTE)));
    assert_eq!(
        (kept.last, kept.last_task),
        (Some((slot, TickOutcome::Fired)), ticks[0].task)
    );
    let due = ok("what is due", scene.schedules.due(10)).await;
    assert_eq!((due.next, due.schedules.len()), (kept.next_slot, 0));
}

/// However many processes tick at once, each slot fires once.
pub async fn of_sixteen_who_tick_at_once_one_decides_about_each_slot<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    for key in ["a", "b", "c"] {
        scene.put(&each_minute(key)).await;
    }
    let mut tasks = HashSet::new();
    for round in 1..=3 {
        scene.advance(MINUTE).await;
        let all = join_all((0..16).map(|_| scene.tick())).await;
        let fired: Vec<_> = all.into_iter().flatten().collect();
        assert_eq!(fired.len(), 3, "three schedules, one slot each: {fired:?}");
        tasks.extend(scene.published().await.into_iter().map(|task| (task.id, task.slot)));
        assert_eq!(tasks.len(), 3 * round);
    }
    for key in ["a", "b", "c"] {
        assert_eq!(scene.history(&each_minute(key).id).await.len(), 3);
    }
}

/// Whoever did not hear that a tick was done, plans it again, and it is not done again.
pub async fn a_tick_whose_answer_was_lost_is_not_made_again<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let minutely = each_minute("a");
    scene.put(&minutely).await;
    scene.advance(MINUTE).await;
    let plans = scene.plans().await;
    let [plan] = &plans[..] else {
        panic!("one schedule is due, not {plans:?}");
    };
    let unheard = ok("slots to be decided about", scene.schedules.tick(plan.clone())).await;
    assert!(unheard.is_some());
    let again = ok("the same tick", scene.schedules.tick(plan.clone())).await;
    assert_eq!(again, None);
    assert!(scene.tick().await.is_empty());
    assert_eq!(scene.published().await.len(), 1);
    assert_eq!(scene.history(&minutely.id).await.len(), 1);
}

/// A plan for a schedule that was changed, paused or removed since is not carried out.
pub async fn a_plan_for_what_a_schedule_was_changes_nothing<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let minutely = each_minute("a");
    scene.put(&minutely).await;
    scene.advance(MINUTE).await;
    let plan: TickPlan = scene.plans().await.remove(0);
    scene
        .put(&Schedule {
            overlap: Overlap::Skip,
            ..minutely.clone()
        })
        .await;
    assert_eq!(ok("a tick", scene.schedules.tick(plan)).await, None);
    let plan = scene.plans().await.remove(0);
    assert!(ok("it to be removed", scene.schedules.remove(&minutely.id)).await);
    assert_eq!(ok("a tick", scene.schedules.tick(plan)).await, None);
    assert!(scene.published().await.is_empty());
    assert!(scene.history(&minutely.id).await.is_empty());
}

/// Late slots: all missed, the latest fires, or the last few; a slot that is hardly late fires in any case.
pub async fn slots_that_nobody_was_there_for_become_what_the_schedule_says<P: Provider>(provider: &P) {
    use TickOutcome::{Fired, Missed, SkippedOverlap};
    let scene = Scene::begin(provider).await;
    let start = scene.now();
    // Every five minutes, after half an hour, and a minute and a half after the last of them.
    let late = after(start, Duration::ZERO);
    let five = |key: &str, misfire, overlap| Schedule {
        misfire,
        overlap,
        ..schedule(key, "*/5 * * * *")
    };
    // On a minute that is a multiple of five.
    let off = u64::try_from(late.timestamp().rem_euclid(300)).unwrap_or_default();
    scene.advance(seconds(300 - off)).await;
    let all = |max| Misfire::All { max };
    let cases = [
        (five("all of nine", all(9), Overlap::Allow), vec![(Fired, 1); 6]),
        (
            five("all of two", all(2), Overlap::Allow),
            vec![(Missed, 4), (Fired, 1), (Fired, 1)],
        ),
        (
            five("all without overlap", all(2), Overlap::Skip),
            vec![(Missed, 4), (Fired, 1), (SkippedOverlap, 1)],
        ),
        (
            five("once", Misfire::Once, Overlap::Allow),
            vec![(Missed, 5), (Fired, 1)],
        ),
        (five("skip", Misfire::Skip, Overlap::Allow), vec![(Missed, 6)]),
    ];
    for (schedule, _) in &cases {
        scene.put(schedule).await;
    }
    scene.advance(MINUTE * 30 + seconds(61)).await;
    scene.tick().await;
    for (schedule, expected) in &cases {
        let mut history = scene.history(&schedule.id).await;
        history.reverse();
        assert_eq!(seen(&history), *expected, "{}", schedule.id);
    }
    scene.published().await;
    // In time, within a minute.
    scene.advance(seconds(299)).await;
    let ticks = scene.seen().await;
    assert_eq!(ticks.iter().filter(|tick| **tick == (Fired, 1)).count(), 5, "{ticks:?}");
}

/// Millions of slots are one record, in no time.
pub async fn a_year_of_seconds_is_one_record<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let start = scene.now();
    let each_second = schedule("a", "* * * * * *");
    scene.put(&each_second).await;
    scene.advance(days(365)).await;
    let ticks = scene.tick().await;
    let all = 365 * 86_400;
    assert_eq!(seen(&ticks), [(TickOutcome::Missed, all - 1), (TickOutcome::Fired, 1)]);
    assert_eq!(ticks[0].slot, after(start, seconds(1)));
    assert_eq!(ticks[0].last_slot, after(start, seconds(all - 1)));
    assert_eq!(ticks[1].slot, after(start, seconds(all)));
    assert_eq!(scene.published().await.len(), 1);
}

/// Deciding late moves no later slot.
pub async fn the_next_slot_follows_from_the_slot_however_late_it_is_decided<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let start = scene.now();
    let minutely = each_minute("a");
    scene.put(&minutely).await;
    for minute in 1..=5 {
        scene.advance(MINUTE).await;
        // Later and later within the minute.
        scene.advance(seconds(minute)).await;
        let ticks = scene.tick().await;
        assert_eq!(seen(&ticks), [(TickOutcome::Fired, 1)]);
        assert_eq!(ticks[0].slot, after(start, MINUTE * u32::try_from(minute).unwrap_or(0)));
    }
}
