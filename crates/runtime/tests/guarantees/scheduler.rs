//! The scheduler: slots reach handlers, once, whatever goes wrong.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Cause, Tenant};
use aftercommit_domain::events::{EventCatalogue, Routes};
use aftercommit_domain::tasks::{
    Overlap, Schedule, ScheduleId, Schedules, Task, TaskContext, Tick, TickOutcome, completed,
};
use aftercommit_domain::time::{Timestamp, seconds};
use aftercommit_domain::unit_of_work::UnitOfWorkFactory;
use aftercommit_runtime::lifecycle::StopOutcome;
use aftercommit_runtime::scheduler::SchedulerOptions;
use aftercommit_runtime::worker::Topic;
use aftercommit_runtime::{Engine, EngineOptions, Health, LoopStatus, Roles, RunningEngine};
use aftercommit_testkit::faults::{Fault, Operation};
use serde_json::json;
use tokio::time::sleep;

use crate::support::contracts::{Deliver, deliver, deliveries};
use crate::support::handlers::{Completes, Handler, Seen};
use crate::support::rig::Rig;

fn each_ten_seconds(key: &str) -> Schedule {
    let declared = Schedule::declare(key, "*/10 * * * * *").overlap(Overlap::Allow);
    declared.publishes(&deliver(1)).unwrap()
}

fn options(declared: Vec<Schedule>) -> EngineOptions {
    EngineOptions {
        scheduler: SchedulerOptions {
            declared,
            ..SchedulerOptions::default()
        },
        ..EngineOptions::default()
    }
}

/// Deliveries that are only taken, so that a process has something to do.
fn topics() -> Vec<Topic> {
    vec![deliveries(Completes)]
}

async fn history(rig: &Rig, id: &ScheduleId) -> Vec<Tick> {
    let mut ticks = rig.store.inner().history(id, Some(1000)).await.unwrap();
    ticks.reverse();
    ticks
}

/// Every slot from the first to the last is there once, and all of them fired.
fn assert_each_slot_fired_once(ticks: &[Tick], at_least: usize) {
    assert!(ticks.len() >= at_least, "{} of {at_least}", ticks.len());
    for tick in ticks {
        assert_eq!((tick.outcome, tick.slots), (TickOutcome::Fired, 1), "{tick:?}");
    }
    for pair in ticks.windows(2) {
        let between = pair[1].slot - pair[0].slot;
        assert_eq!(between.num_seconds(), 10, "{pair:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_handler_of_a_scheduled_task_learns_its_slot() {
    let rig = Rig::new();
    let seen: Seen<(Option<Timestamp>, bool)> = Seen::nothing();
    let noted = seen.clone();
    let handler = Handler(move |_: Deliver, ctx: TaskContext| {
        let late = ctx.now() - ctx.slot().unwrap();
        noted.add((ctx.slot(), late < chrono::Duration::milliseconds(500)));
        async { completed() }
    });
    let schedule = each_ten_seconds("deliveries");
    let engine = rig.start(options(vec![schedule.clone()]), vec![deliveries(handler)]);
    rig.until("three slots were handled", async || seen.count() >= 3).await;
    engine.stop().await;
    let slots: Vec<(Option<Timestamp>, bool)> = history(&rig, &schedule.id)
        .await
        .iter()
        .map(|tick| (Some(tick.slot), true))
        .collect();
    assert_eq!(seen.all()[..3], slots[..3]);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_made_at_run_time_fires_within_a_second_of_its_slot() {
    let rig = Rig::new();
    let engine = rig.start(options(Vec::new()), topics());
    sleep(seconds(5)).await;
    let schedule = each_ten_seconds("made");
    let tenant: Tenant = schedule.id.tenant.clone();
    let mut unit = rig.store.inner().begin(&tenant, &Cause::root()).await.unwrap();
    unit.schedules().put(&schedule).await.unwrap();
    unit.commit().await.unwrap();
    rig.until("it fired", async || !history(&rig, &schedule.id).await.is_empty())
        .await;
    let tick = history(&rig, &schedule.id).await.remove(0);
    assert!(tick.at - tick.slot <= chrono::Duration::seconds(1), "{tick:?}");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_wrong_each_slot_fires_once_and_the_loop_shows_why_it_waits() {
    let rig = Rig::new();
    let schedule = each_ten_seconds("a");
    let engine = rig.start(options(vec![schedule.clone()]), topics());
    rig.until("it runs", async || {
        rig.report("scheduler").status == LoopStatus::Running
    })
    .await;
    for (operation, fault) in [
        (Operation::Tick, Fault::Fail),
        (Operation::Tick, Fault::LoseReply),
        (Operation::Tick, Fault::Panic),
        (Operation::Tick, Fault::DelayReply(seconds(3))),
        (Operation::DueSchedules, Fault::Fail),
        (Operation::DueSchedules, Fault::Panic),
        (Operation::Reconcile, Fault::Fail),
    ] {
        let before = history(&rig, &schedule.id).await.len();
        let calls = rig.store.calls(operation);
        rig.store.script(operation, [fault]);
        rig.until("the fault was met, and slots went on", async || {
            rig.store.calls(operation) > calls && history(&rig, &schedule.id).await.len() > before + 1
        })
        .await;
    }
    rig.store.always(Operation::DueSchedules, Fault::Fail);
    rig.until("it backs off", async || {
        rig.report("scheduler").status == LoopStatus::BackingOff
    })
    .await;
    let cause = rig.report("scheduler").cause.unwrap();
    assert!(cause.contains("schedules.unavailable"), "{cause}");
    rig.store.always(Operation::DueSchedules, Fault::Pass);
    rig.until("it runs again", async || {
        rig.report("scheduler").status == LoopStatus::Running
    })
    .await;
    engine.stop().await;
    assert_each_slot_fired_once(&history(&rig, &schedule.id).await, 14);
}

#[tokio::test(start_paused = true)]
async fn one_schedule_that_cannot_be_decided_about_holds_up_no_other() {
    let rig = Rig::new();
    let (one, other) = (each_ten_seconds("a"), each_ten_seconds("b"));
    let engine = rig.start(options(vec![one.clone(), other.clone()]), topics());
    rig.until("both fired", async || !history(&rig, &other.id).await.is_empty())
        .await;
    rig.store.script(Operation::Tick, [Fault::Fail]);
    let had = history(&rig, &one.id).await.len() + history(&rig, &other.id).await.len();
    rig.until("one of them fired", async || {
        history(&rig, &one.id).await.len() + history(&rig, &other.id).await.len() > had
    })
    .await;
    sleep(seconds(30)).await;
    engine.stop().await;
    for schedule in [one, other] {
        assert_each_slot_fired_once(&history(&rig, &schedule.id).await, 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_whose_task_is_over_a_limit_is_missed_slot_by_slot_and_holds_up_no_other() {
    let rig = Rig::new();
    let (mut big, other) = (each_ten_seconds("a"), each_ten_seconds("b"));
    big.task.payload = serde_json::from_value(json!({ "text": "x".repeat(1_000_000) })).unwrap();
    let engine = rig.start(options(vec![big.clone(), other.clone()]), topics());
    sleep(seconds(60)).await;
    assert_eq!(rig.report("scheduler").status, LoopStatus::Running);
    engine.stop().await;
    assert_each_slot_fired_once(&history(&rig, &other.id).await, 5);
    let missed = history(&rig, &big.id).await;
    assert!(
        missed.len() >= 5 && missed.iter().all(|tick| tick.outcome == TickOutcome::Missed),
        "{missed:?}"
    );
}

/// Starts a process of its own on the store of `rig`.
fn start_another(rig: &Rig, declared: Vec<Schedule>) -> RunningEngine {
    let health = Health::new(Arc::clone(&rig.clock));
    let engine = Engine::new(
        rig.ports(),
        options(declared),
        &EventCatalogue::new(),
        Routes::new(),
        topics(),
    );
    engine.unwrap().start(&health)
}

#[tokio::test(start_paused = true)]
async fn of_five_schedulers_one_decides_about_each_slot_though_one_of_them_stands_still_in_a_tick() {
    let rig = Rig::new();
    let schedule = each_ten_seconds("a");
    // Whoever ticks first stands still before it is done, and goes on long after.
    rig.store.script(Operation::Tick, [Fault::Hold]);
    let engines: Vec<RunningEngine> = (0..5).map(|_| start_another(&rig, vec![schedule.clone()])).collect();
    rig.store.wait_for_held(1).await;
    sleep(seconds(200)).await;
    rig.store.let_go(1);
    sleep(seconds(60)).await;
    for engine in engines {
        assert_eq!(engine.stop().await, StopOutcome::Clean);
    }
    assert_each_slot_fired_once(&history(&rig, &schedule.id).await, 25);
    let waiting = rig.outbox_stats().await;
    assert_eq!((waiting.waiting, waiting.claimed), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_process_without_the_role_or_without_topics_decides_about_nothing() {
    let rig = Rig::new();
    let schedule = each_ten_seconds("a");
    rig.store.inner().put(&schedule).await.unwrap();
    let roles = Roles {
        scheduler: false,
        ..Roles::default()
    };
    let without_role = rig.start(
        EngineOptions {
            roles,
            ..options(Vec::new())
        },
        topics(),
    );
    let without_topics = rig.start(options(Vec::new()), Vec::new());
    sleep(seconds(60)).await;
    assert_eq!(
        rig.store.calls(Operation::DueSchedules) + rig.store.calls(Operation::Reconcile),
        0
    );
    without_role.stop().await;
    without_topics.stop().await;
    assert!(history(&rig, &schedule.id).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_the_next_slot() {
    let rig = Rig::new();
    let yearly = Schedule::declare("yearly", "@yearly").publishes(&deliver(1)).unwrap();
    let engine = rig.start(options(vec![yearly]), topics());
    rig.until("it runs", async || {
        rig.report("scheduler").status == LoopStatus::Running
    })
    .await;
    let asked = rig.now();
    assert_eq!(engine.stop().await, StopOutcome::Clean);
    assert!(rig.now() - asked < chrono::Duration::from_std(Duration::from_millis(100)).unwrap());
    assert_eq!(rig.report("scheduler").status, LoopStatus::Stopped);
}

#[test]
fn a_schedule_without_a_handler_or_declared_twice_is_refused_at_start() {
    let rig = Rig::new();
    let lonely = each_ten_seconds("lonely");
    let elsewhere = vec![Topic::named(Deliver::TOPIC.as_str())];
    let declared = vec![lonely.clone(), lonely];
    let refused = Engine::new(
        rig.ports(),
        options(declared),
        &EventCatalogue::new(),
        Routes::new(),
        elsewhere,
    );
    let problems = refused.err().unwrap().problems.join("\n");
    for expected in [
        "schedule lonely publishes deliveries/deliver, which has no handler",
        "schedule lonely is declared twice",
    ] {
        assert!(problems.contains(expected), "{problems}");
    }
}
