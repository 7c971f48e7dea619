//! Schedules that are declared, made, changed and removed.

use std::slice::from_ref;
use std::time::Duration;

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::failure::Classified as _;
use aftercommit_domain::tasks::{
    Misfire, Reconciled, Schedule, ScheduleFilter, ScheduleId, ScheduleOrigin, TickOutcome,
};
use aftercommit_domain::time::{after, seconds};

use super::Scene;
use super::scene::{GRACE, MINUTE, each_minute, of, schedule, seen};
use crate::conformance::Provider;
use crate::conformance::support::{begin, ok};

async fn reconcile<P: Provider>(scene: &Scene<'_, P>, declared: &[Schedule], grace: Duration) -> Reconciled {
    ok("to be reconciled", scene.schedules.reconcile(declared, grace)).await
}

fn changed(schedule: &Schedule) -> Schedule {
    Schedule {
        misfire: Misfire::Skip,
        ..schedule.clone()
    }
}

/// What a process declares is added, changed and removed; doing it again changes nothing.
pub async fn what_is_declared_is_added_changed_and_removed<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let (one, two, three) = (each_minute("one"), each_minute("two"), each_minute("three"));
    let first = reconcile(&scene, &[one.clone(), two.clone()], Duration::ZERO).await;
    let added = vec![one.id.clone(), two.id.clone()];
    let nothing = Reconciled::default();
    assert_eq!(
        first,
        Reconciled {
            added,
            ..nothing.clone()
        }
    );
    assert_eq!(
        reconcile(&scene, &[one.clone(), two.clone()], Duration::ZERO).await,
        nothing
    );
    let kept = scene.kept(&one.id).await;
    assert_eq!((kept.origin, &kept.schedule), (ScheduleOrigin::Declared, &one));
    scene.advance(seconds(1)).await;
    let second = reconcile(&scene, &[changed(&one), three.clone()], Duration::ZERO).await;
    assert_eq!(second.added, from_ref(&three.id));
    assert_eq!(second.changed, from_ref(&one.id));
    assert_eq!(second.removed, from_ref(&two.id));
    let after_change = scene.kept(&one.id).await;
    assert_eq!(after_change.schedule, changed(&one));
    assert_eq!(after_change.next_slot, kept.next_slot, "its times are what they were");
    let listed = ok(
        "schedules to be listed",
        scene.schedules.list(&ScheduleFilter::default()),
    )
    .await;
    let ids: Vec<ScheduleId> = listed.into_iter().map(|kept| kept.schedule.id).collect();
    assert_eq!(ids, [one.id, three.id]);
}

/// Reconciling leaves alone what was made at run time, also under a key that is declared.
pub async fn what_was_made_at_run_time_stays<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let (made, shadowed) = (each_minute("made"), each_minute("both"));
    scene.put(&made).await;
    scene.put(&shadowed).await;
    scene.advance(MINUTE * 10).await;
    let reconciled = reconcile(&scene, &[changed(&shadowed)], Duration::ZERO).await;
    let differing = vec![shadowed.id.clone()];
    assert_eq!(
        reconciled,
        Reconciled {
            differing,
            ..Reconciled::default()
        }
    );
    for schedule in [&made, &shadowed] {
        let kept = scene.kept(&schedule.id).await;
        assert_eq!((kept.origin, &kept.schedule), (ScheduleOrigin::MadeAtRunTime, schedule));
    }
}

/// While two builds run, what either declares fires as it was; the newer one has its way once the older one is gone for a
/// while.
pub async fn two_builds_side_by_side_do_not_fight<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let (both, gone, new) = (each_minute("both"), each_minute("gone"), each_minute("new"));
    let (older, newer) = ([both.clone(), gone.clone()], [changed(&both), new.clone()]);
    reconcile(&scene, &older, GRACE).await;
    for round in 0..4 {
        scene.advance(GRACE / 4).await;
        let by_newer = reconcile(&scene, &newer, GRACE).await;
        let added = if round == 0 { vec![new.id.clone()] } else { vec![] };
        let differing = vec![both.id.clone()];
        let expected = Reconciled {
            added,
            differing,
            ..Reconciled::default()
        };
        assert_eq!(by_newer, expected, "the older one is there still");
        // Also one that starts again.
        let by_older = reconcile(&scene, &older, GRACE).await;
        assert_eq!(by_older, Reconciled::default());
    }
    for id in [&both.id, &gone.id, &new.id] {
        assert!(scene.find(id).await.is_some(), "{id}");
    }
    scene.advance(seconds(59)).await;
    assert_eq!(reconcile(&scene, &newer, GRACE).await.differing, from_ref(&both.id));
    scene.advance(seconds(1)).await;
    let alone = reconcile(&scene, &newer, GRACE).await;
    assert_eq!(
        (alone.changed, alone.removed),
        (vec![both.id.clone()], vec![gone.id.clone()])
    );
    assert_eq!(scene.kept(&both.id).await.schedule, changed(&both));
}

/// What a transaction puts and removes is so once it commits, and never when it does not.
pub async fn a_schedule_of_a_transaction_is_there_when_it_commits_and_never_when_it_does_not<P: Provider>(
    provider: &P,
) {
    let scene = Scene::begin(provider).await;
    let tenant = Tenant::project(1_i64, 10_i64);
    let schedule = of(tenant.clone(), each_minute("a"));
    let mut unit = begin(provider, &tenant).await;
    ok("a schedule to be put", unit.schedules().put(&schedule)).await;
    drop(unit);
    assert_eq!(scene.find(&schedule.id).await, None, "it was rolled back");
    let mut unit = begin(provider, &tenant).await;
    ok("a schedule to be put", unit.schedules().put(&schedule)).await;
    ok("a commit", unit.commit()).await;
    let kept = scene.kept(&schedule.id).await;
    assert_eq!(kept.next_slot, Some(after(scene.now(), MINUTE)));
    assert_eq!(kept.origin, ScheduleOrigin::MadeAtRunTime);
    let mut unit = begin(provider, &tenant).await;
    assert!(ok("it to be removed", unit.schedules().remove(&schedule.id)).await);
    drop(unit);
    assert!(scene.find(&schedule.id).await.is_some(), "it was rolled back");
    let mut unit = begin(provider, &tenant).await;
    assert!(ok("it to be removed", unit.schedules().remove(&schedule.id)).await);
    assert!(!ok("nothing to be removed", unit.schedules().remove(&schedule.id)).await);
    ok("a commit", unit.commit()).await;
    assert_eq!(scene.find(&schedule.id).await, None);
}

/// A tenant's transaction reaches neither another tenant's schedules nor those of the system; an organization's reaches its
/// projects'.
pub async fn a_transaction_changes_no_schedule_of_another_tenant<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let project = Tenant::project(1_i64, 10_i64);
    let others = [
        Tenant::System,
        Tenant::organization(1_i64),
        Tenant::organization(2_i64),
        Tenant::project(1_i64, 11_i64),
        Tenant::project(2_i64, 10_i64),
    ];
    for other in others {
        let schedule = of(other, each_minute("a"));
        scene.put(&schedule).await;
        let mut unit = begin(provider, &project).await;
        let put = unit.schedules().put(&changed(&schedule)).await;
        assert_eq!(put.expect_err("it is another's").code(), "tenant.mismatch");
        let removed = unit.schedules().remove(&schedule.id).await;
        assert_eq!(removed.expect_err("it is another's").code(), "tenant.mismatch");
        drop(unit);
        assert_eq!(scene.kept(&schedule.id).await.schedule, schedule);
    }
    let of_project = of(project, each_minute("a"));
    for owner in [Tenant::organization(1_i64), Tenant::System] {
        let mut unit = begin(provider, &owner).await;
        ok("a schedule to be put", unit.schedules().put(&of_project)).await;
        ok("a commit", unit.commit()).await;
        assert_eq!(scene.kept(&of_project.id).await.schedule, of_project);
        assert!(ok("it to be removed", scene.schedules.remove(&of_project.id)).await);
    }
}

/// Two tenants' schedules of one key have nothing to do with each other.
pub async fn one_key_of_two_tenants_is_two_schedules<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let tenants = [Tenant::project(1_i64, 10_i64), Tenant::project(2_i64, 10_i64)];
    let [one, other] = tenants.map(|tenant| of(tenant, each_minute("a")));
    scene.put(&one).await;
    scene.put(&other).await;
    scene.advance(MINUTE).await;
    assert_eq!(scene.seen().await, [(TickOutcome::Fired, 1); 2]);
    let mut tasks = scene.published().await;
    tasks.sort_by_key(|task| task.tenant.to_string());
    assert_eq!(tasks.len(), 2);
    assert_ne!(tasks[0].id, tasks[1].id);
    assert_eq!((&tasks[0].tenant, &tasks[1].tenant), (&one.id.tenant, &other.id.tenant));
    let filter = ScheduleFilter {
        organization_id: one.id.tenant.organization_id().cloned(),
        limit: None,
    };
    let listed = ok("schedules to be listed", scene.schedules.list(&filter)).await;
    assert_eq!(listed.len(), 1);
    assert!(ok("it to be removed", scene.schedules.remove(&one.id)).await);
    assert!(scene.find(&other.id).await.is_some());
    assert_eq!(scene.history(&other.id).await.len(), 1);
}

/// A change of its times begins a new row of slots; those of the old one that were due are recorded as missed.
pub async fn a_changed_timetable_records_what_it_leaves_behind<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    scene.put(&each_minute("a")).await;
    scene.advance(MINUTE * 3).await;
    let hourly = schedule("a", "30 * * * *");
    scene.put(&hourly).await;
    let history = scene.history(&hourly.id).await;
    assert_eq!(seen(&history), [(TickOutcome::Missed, 3)]);
    let kept = scene.kept(&hourly.id).await;
    assert_eq!(kept.next_slot, hourly.timetable.next_after(scene.now()));
    assert!(scene.published().await.is_empty());
}

/// What became of its slots can be read after a schedule is removed, and no slot fires again when it is made again.
pub async fn a_removed_schedule_leaves_its_history<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let schedule = each_minute("a");
    scene.put(&schedule).await;
    scene.advance(MINUTE).await;
    scene.tick().await;
    assert!(ok("it to be removed", scene.schedules.remove(&schedule.id)).await);
    assert!(!ok("nothing to be removed", scene.schedules.remove(&schedule.id)).await);
    assert_eq!(scene.history(&schedule.id).await.len(), 1);
    scene.put(&schedule).await;
    assert!(scene.tick().await.is_empty());
    scene.advance(MINUTE).await;
    assert_eq!(scene.seen().await, [(TickOutcome::Fired, 1)]);
    assert_eq!(scene.history(&schedule.id).await.len(), 2);
}

/// Records are forgotten by age, a bounded number at a time.
pub async fn old_records_are_forgotten_in_steps_and_new_ones_kept<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let schedule = each_minute("a");
    scene.put(&schedule).await;
    for _ in 0..5 {
        scene.advance(MINUTE).await;
        scene.tick().await;
    }
    let limit = scene.now();
    let prune = || async { ok("records to be forgotten", scene.schedules.prune(limit, 3)).await };
    assert_eq!(prune().await, 3);
    assert_eq!(prune().await, 1);
    assert_eq!(prune().await, 0);
    let left = scene.history(&schedule.id).await;
    assert_eq!((left.len(), left[0].at), (1, limit));
}
