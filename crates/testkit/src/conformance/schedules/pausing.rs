//! Pauses.

use aftercommit_domain::tasks::{Misfire, PauseEnd, Schedule, ScheduleId, SchedulePauseOrder, TickOutcome};
use aftercommit_domain::time::{after, seconds};

use super::Scene;
use super::scene::{GRACE, MINUTE, each_minute, seen};
use crate::conformance::Provider;
use crate::conformance::support::ok;

async fn pause<P: Provider>(scene: &Scene<'_, P>, id: &ScheduleId, until: PauseEnd) -> bool {
    let order = SchedulePauseOrder {
        by: "ada".into(),
        reason: "the mail server moves".into(),
        until,
    };
    ok("it to be paused", scene.schedules.pause(id, order)).await
}

/// Slots of a pause are recorded as skipped, with who paused it to be read; those before it and after it are not.
pub async fn what_comes_in_a_pause_is_skipped_and_recorded<P: Provider>(provider: &P) {
    use TickOutcome::{Fired, SkippedPaused};
    let scene = Scene::begin(provider).await;
    let schedule = each_minute("a");
    assert!(!pause(&scene, &schedule.id, PauseEnd::Never).await, "there is none");
    scene.put(&schedule).await;
    scene.advance(MINUTE).await;
    assert_eq!(scene.seen().await, [(Fired, 1)]);
    scene.advance(seconds(30)).await;
    assert!(pause(&scene, &schedule.id, PauseEnd::Never).await);
    let kept = scene.kept(&schedule.id).await;
    let held = kept.pause.expect("it is paused");
    assert_eq!(
        (held.by.as_str(), held.reason.as_str()),
        ("ada", "the mail server moves")
    );
    assert_eq!((held.since, held.until), (scene.now(), None));
    scene.advance(seconds(30)).await;
    assert_eq!(scene.seen().await, [(SkippedPaused, 1)]);
    scene.advance(MINUTE * 3).await;
    assert_eq!(scene.seen().await, [(SkippedPaused, 3)]);
    assert_eq!(scene.published().await.len(), 1);
    let resume = || async { ok("it to be resumed", scene.schedules.resume(&schedule.id, "bob")).await };
    assert!(resume().await);
    assert!(!resume().await, "it is not paused any more");
    scene.advance(MINUTE).await;
    assert_eq!(scene.seen().await, [(Fired, 1)]);
}

/// A pause with an end is over then, and one that is resumed at once: what came in it stays skipped though nobody was there.
pub async fn a_pause_ends_by_itself_or_when_it_is_resumed<P: Provider>(provider: &P) {
    use TickOutcome::{Fired, Missed, SkippedPaused};
    let scene = Scene::begin(provider).await;
    let schedule = Schedule {
        misfire: Misfire::All { max: 9 },
        ..each_minute("a")
    };
    scene.put(&schedule).await;
    scene.advance(MINUTE + seconds(30)).await;
    assert_eq!(scene.seen().await, [(Fired, 1)]);
    let until = after(scene.now(), MINUTE * 3);
    assert!(pause(&scene, &schedule.id, PauseEnd::At(until)).await);
    scene.advance(MINUTE * 5).await;
    assert_eq!(scene.seen().await, [(SkippedPaused, 3), (Fired, 1), (Fired, 1)]);
    // Nobody ticks from two minutes before the pause on.
    scene.advance(MINUTE * 2).await;
    assert!(pause(&scene, &schedule.id, PauseEnd::After(MINUTE * 60)).await);
    scene.advance(MINUTE * 2).await;
    assert!(ok("it to be resumed", scene.schedules.resume(&schedule.id, "bob")).await);
    let kept = scene.kept(&schedule.id).await;
    assert_eq!(kept.pause.and_then(|pause| pause.resumed_by).as_deref(), Some("bob"));
    scene.advance(MINUTE).await;
    assert_eq!(scene.seen().await, [(Missed, 2), (SkippedPaused, 2), (Fired, 1)]);
}

/// Neither a deploy nor a change ends a pause, and a plan from before it is not carried out.
pub async fn a_pause_survives_reconciling_and_changing<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let declared = each_minute("a");
    let reconcile = |schedule: Schedule| {
        let schedules = scene.schedules.clone();
        async move { ok("to be reconciled", schedules.reconcile(&[schedule], GRACE)).await }
    };
    reconcile(declared.clone()).await;
    scene.advance(MINUTE).await;
    let plan = scene.plans().await.remove(0);
    assert!(pause(&scene, &declared.id, PauseEnd::Never).await);
    assert_eq!(ok("a tick", scene.schedules.tick(plan)).await, None);
    scene.advance(GRACE).await;
    let changed = Schedule {
        misfire: Misfire::Skip,
        ..declared.clone()
    };
    assert_eq!(
        reconcile(changed.clone()).await.changed,
        std::slice::from_ref(&declared.id)
    );
    scene.put(&changed).await;
    assert!(scene.kept(&declared.id).await.is_paused_at(scene.now()));
    let ticks = scene.tick().await;
    assert_eq!(seen(&ticks), [(TickOutcome::SkippedPaused, 2)]);
}
