//! Schedules between processes whose clocks disagree, and one that stands still in the middle of a tick.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Json, Limits, ScheduleKey, TaskName, TopicName};
use aftercommit_domain::tasks::{
    Misfire, Overlap, Schedule, ScheduleId, ScheduledTask, Schedules, Tick, TickOutcome, TickPlan, Timetable,
};
use aftercommit_domain::time::{Clock as _, Timestamp, after, before, seconds};
use aftercommit_platform_db_postgres::{PostgresDatabase, PostgresOptions, PostgresSchedules, PostgresServices};
use aftercommit_testkit::{ManualClock, SeededRandomness};
use sqlx::{Connection as _, PgConnection};

use crate::rig::{Rig, ports};

fn each_minute() -> Schedule {
    Schedule {
        id: ScheduleId::system(ScheduleKey::new("a").unwrap()),
        timetable: Timetable {
            cron: "* * * * *".parse().unwrap(),
            zone: "UTC".parse().unwrap(),
        },
        misfire: Misfire::All { max: 100 },
        overlap: Overlap::Allow,
        task: ScheduledTask {
            topic: TopicName::constant("letters"),
            task: TaskName::constant("send"),
            version: 1,
            payload: Json::parse("{}", &Limits::default()).unwrap(),
            order_key: None,
            coalescing: None,
        },
    }
}

/// Five processes whose clocks are up to an hour off.
async fn five_processes(rig: &Rig) -> Vec<PostgresDatabase> {
    let mut processes = Vec::new();
    for (number, off) in [-3600_i64, -1800, 0, 1800, 3600].into_iter().enumerate() {
        let clock = ManualClock::default();
        let by = seconds(off.unsigned_abs());
        let now = rig.services.clock.now();
        clock.set(if off < 0 { before(now, by) } else { after(now, by) });
        let services = PostgresServices {
            clock: Arc::new(clock),
            randomness: Arc::new(SeededRandomness::new(1000 + number as u64)),
            ..ports(&rig.services)
        };
        let options = PostgresOptions::new(rig.store.url());
        processes.push(PostgresDatabase::open(options, services).await.unwrap());
    }
    processes
}

/// What one process would do, by its own look.
async fn planned(schedules: &PostgresSchedules) -> Option<TickPlan> {
    let due = schedules.due(10).await.unwrap();
    due.schedules.first().and_then(|kept| TickPlan::of(kept, due.now))
}

async fn tick(schedules: &PostgresSchedules) -> Vec<Tick> {
    match planned(schedules).await {
        Some(plan) => schedules.tick(plan).await.unwrap().unwrap_or_default(),
        None => Vec::new(),
    }
}

async fn count(rig: &Rig, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&rig.direct).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_five_processes_with_clocks_an_hour_apart_one_fires_each_slot_also_when_one_stood_still_in_its_tick() {
    let rig = Rig::start().await;
    let processes = five_processes(&rig).await;
    let all: Vec<PostgresSchedules> = processes.iter().map(PostgresDatabase::schedules).collect();
    let schedule = each_minute();
    all[0].put(&schedule).await.unwrap();
    let first = all[0].find(&schedule.id).await.unwrap().unwrap().next_slot.unwrap();
    let mut stood_still: Option<TickPlan> = None;
    let mut seen: Vec<Tick> = Vec::new();
    for round in 0..30_u64 {
        // Sometimes nobody looks for some minutes.
        rig.advance(seconds(if round % 7 == 3 { 240 } else { 60 })).await;
        if round % 5 == 0 {
            // It has looked, and is stopped before it says what it saw; it goes on when all is long over.
            stood_still = planned(&all[usize::try_from(round).unwrap() % 5]).await;
        }
        let ticks = futures::future::join_all(all.iter().map(tick)).await;
        seen.extend(ticks.into_iter().flatten());
        if let Some(plan) = stood_still.take() {
            assert_eq!(all[2].tick(plan).await.unwrap(), None, "others decided meanwhile");
        }
    }
    let history = all[4].history(&schedule.id, Some(1000)).await.unwrap();
    let fired: BTreeMap<Timestamp, &Tick> = history.iter().map(|tick| (tick.slot, tick)).collect();
    assert_eq!(fired.len(), history.len(), "no slot twice");
    assert_eq!(history.len(), seen.len());
    let expected = schedule
        .timetable
        .between(before(first, seconds(1)), rig.services.clock.now(), 1000);
    assert_eq!(
        fired.keys().copied().collect::<Vec<_>>(),
        expected.last,
        "none is left out"
    );
    assert!(history.iter().all(|tick| tick.outcome == TickOutcome::Fired));
    let outbox = count(&rig, "SELECT count(DISTINCT id) FROM aftercommit.outbox").await;
    assert_eq!(usize::try_from(outbox).unwrap(), history.len());
    assert_eq!(count(&rig, "SELECT count(*) FROM aftercommit.outbox").await, outbox);
    for process in processes {
        process.close().await.unwrap();
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_transaction_that_stands_still_with_a_schedule_holds_up_nobody_who_ticks() {
    let rig = Rig::start().await;
    let schedules = rig.database.schedules();
    let (one, other) = (
        each_minute(),
        Schedule {
            id: ScheduleId::system(ScheduleKey::new("b").unwrap()),
            ..each_minute()
        },
    );
    schedules.put(&one).await.unwrap();
    schedules.put(&other).await.unwrap();
    rig.advance(Duration::from_mins(1)).await;
    let mut holder = PgConnection::connect(&rig.store.url()).await.unwrap();
    let mut transaction = holder.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM aftercommit.schedules WHERE key = 'a' FOR UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let due = schedules.due(10).await.unwrap();
    assert_eq!(due.schedules.len(), 2);
    let plan = |key: &str| {
        let kept = due.schedules.iter().find(|kept| kept.schedule.id.key.as_str() == key);
        TickPlan::of(kept.unwrap(), due.now).unwrap()
    };
    assert!(schedules.tick(plan("b")).await.unwrap().is_some());
    assert_eq!(schedules.tick(plan("a")).await.unwrap(), None, "it waits for nobody");
    transaction.rollback().await.unwrap();
    assert!(schedules.tick(plan("a")).await.unwrap().is_some());
    holder.close().await.unwrap();
    rig.stop().await;
}
