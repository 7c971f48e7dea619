//! Tasks held for a broker's queue, and how its tasks ended.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Cause, TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    EndedTask, HeldTask, HeldTasks as _, HoldError, Outcome, QueueMaintenance as _, Reason, TaskHistory as _,
    TaskInspector as _, TaskState,
};
use aftercommit_domain::time::Clock as _;
use aftercommit_platform_db_postgres::{PostgresOptions, RecordSuccesses};
use aftercommit_platform_queue_postgres::PostgresQueueOptions;
use aftercommit_testkit::conformance::support::{PAST_LEASE, failure, next, ok};
use futures::FutureExt as _;
use sqlx::Connection as _;

use crate::lost_runs::work;
use crate::rig::{Process, Rig};
use crate::steps::{TOPIC, id_of};

const SOON: Duration = Duration::from_secs(10);

fn held(task: TaskEnvelope, lost_runs: u32) -> HeldTask {
    HeldTask {
        body: Arc::from(task.encode().into_bytes()),
        task,
        attempts: 0,
        wait: Duration::ZERO,
        failure: None,
        lost_runs,
        is_aside: false,
    }
}

async fn hold(process: &Process, tasks: Vec<HeldTask>) -> Vec<MessageId> {
    let ids = tasks.iter().map(|held| held.task.id).collect();
    ok("tasks to be held", process.queue.hold(tasks)).await;
    ids
}

/// How many processes died until no task takes one down any more.
async fn deaths(rig: &Rig, killer: MessageId) -> u64 {
    let killers = HashSet::from([killer]);
    let mut deaths = 0;
    while work(rig.another(50 + deaths).await, &killers).await {
        deaths += 1;
        assert!(deaths <= 5, "it is given up");
        rig.advance(PAST_LEASE).await;
        ok("a rescue", rig.process.queue.rescue_expired()).await;
    }
    deaths
}

async fn state_of(rig: &Rig, id: MessageId) -> TaskState {
    rig.process.queue.find(id).await.unwrap().unwrap().summary.state
}

#[tokio::test]
async fn a_task_held_with_a_lost_run_that_takes_its_process_down_alone_is_given_up_after_three_in_all() {
    let rig = Rig::start().await;
    let ids = hold(&rig.process, vec![held(rig.messages().task(), 1)]).await;
    assert_eq!(deaths(&rig, ids[0]).await, 2, "and the one it came with");
    assert_eq!(state_of(&rig, ids[0]).await, TaskState::Dead);
    rig.stop().await;
}

#[tokio::test]
async fn of_tasks_held_with_a_lost_run_only_the_one_that_takes_processes_down_is_given_up() {
    let rig = Rig::start().await;
    let tasks = rig.messages().tasks(5).into_iter().map(|task| held(task, 1)).collect();
    let ids = hold(&rig.process, tasks).await;
    // Once among its neighbours, which may have been the cause; then alone.
    assert_eq!(deaths(&rig, ids[2]).await, 3, "and the one it came with");
    for (place, id) in ids.into_iter().enumerate() {
        let expected = if place == 2 {
            TaskState::Dead
        } else {
            TaskState::Completed
        };
        assert_eq!(state_of(&rig, id).await, expected, "task {place}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_held_task_is_behind_the_published_ones_of_its_key_and_before_later_ones() {
    let rig = Rig::start().await;
    let ordered = || rig.messages().ordered_task("a");
    let mut expected = rig.process.publish(vec![ordered()]).await;
    let waiting = HeldTask {
        wait: Duration::from_mins(1),
        attempts: 1,
        failure: Some(failure()),
        ..held(ordered(), 0)
    };
    expected.extend(hold(&rig.process, vec![waiting, held(ordered(), 0)]).await);
    expected.extend(rig.process.publish(vec![ordered()]).await);
    let mut deliveries = rig.process.consume(10).await;
    for (place, id) in expected.into_iter().enumerate() {
        if place == 1 {
            rig.advance(Duration::from_secs(61)).await;
        }
        let delivery = next(&mut deliveries, "the next of the key").await;
        assert_eq!(id_of(&*delivery), id, "task {place}");
        ok("an ack", delivery.ack(&Outcome::Completed)).await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn when_the_database_refuses_one_task_none_of_the_call_is_held() {
    let rig = Rig::start().await;
    sqlx::raw_sql("ALTER TABLE aftercommit.tasks ADD CONSTRAINT no_parcels CHECK (topic <> 'parcels')")
        .execute(rig.pool())
        .await
        .unwrap();
    let parcel = TaskEnvelope {
        topic: TopicName::constant("parcels"),
        ..rig.messages().task()
    };
    let tasks = vec![held(rig.messages().task(), 0), held(parcel, 1)];
    let refused = rig.process.queue.hold(tasks).await;
    assert!(matches!(refused, Err(HoldError::Refused { .. })), "{refused:?}");
    assert_eq!(rig.count("SELECT count(*) FROM aftercommit.tasks").await, 0);
    rig.stop().await;
}

#[tokio::test]
async fn numbers_and_texts_that_no_column_holds_are_no_obstacle() {
    let rig = Rig::start().await;
    let mut failure = failure();
    failure.message = "a\0message".into();
    let task = HeldTask {
        attempts: u32::MAX,
        failure: Some(failure),
        ..held(rig.messages().task(), u32::MAX)
    };
    let ids = hold(&rig.process, vec![task]).await;
    let found = rig.process.queue.find(ids[0]).await.unwrap().unwrap();
    assert_eq!(found.summary.reason.as_deref(), Some("a message"));
    let mut deliveries = rig.process.consume(1).await;
    let delivery = next(&mut deliveries, "the task").await;
    ok("its end", delivery.ack(&Outcome::Skipped(Reason::new("gone")))).await;
    let forever = HeldTask {
        wait: Duration::MAX,
        ..held(rig.messages().task(), 0)
    };
    let ids = hold(&rig.process, vec![forever]).await;
    assert_eq!(state_of(&rig, ids[0]).await, TaskState::Scheduled);
    let ended = EndedTask {
        id: rig.messages().task().id,
        topic: TOPIC,
        task: rig.messages().task().task,
        tenant: rig.messages().task().tenant,
        attempts: u32::MAX,
        outcome: Outcome::Cancelled(Reason::new("a\0reason")),
        enqueued_at: rig.services.clock.now(),
        cause: Cause::root(),
    };
    let id = ended.id;
    ok("an ending to be recorded", rig.process.queue.record(vec![ended])).await;
    let found = rig.process.queue.find(id).await.unwrap().unwrap();
    assert_eq!(found.summary.reason.as_deref(), Some("a reason"));
    rig.stop().await;
}

/// Rows this connection has read so far through each index of the tasks, and through none.
async fn reads(connection: &mut sqlx::PgConnection) -> i64 {
    sqlx::query_scalar(
        "SELECT (sum(pg_stat_get_xact_tuples_returned(indexrelid)) \
           + pg_stat_get_xact_tuples_returned('aftercommit.tasks'::regclass))::bigint \
         FROM pg_catalog.pg_index WHERE indrelid = 'aftercommit.tasks'::regclass",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn held_keys_and_holding_read_next_to_nothing_of_a_full_table() {
    let rig = Rig::start().await;
    let keys: Vec<String> = (0..100)
        .map(|key| rig.messages().ordered_task(&format!("key {key}")).ordering().unwrap())
        .collect();
    let mut connection = rig.pool().acquire().await.unwrap().detach();
    let mut seen = Vec::new();
    // As the statistics of an empty table, of none, and of a full one say.
    for statistics in ["ANALYZE aftercommit.tasks", "SELECT 1", "ANALYZE aftercommit.tasks"] {
        sqlx::raw_sql(statistics).execute(&mut connection).await.unwrap();
        for topic in [TOPIC, TopicName::constant("parcels")] {
            let tasks: Vec<TaskEnvelope> = (0..1000)
                .map(|number| TaskEnvelope {
                    topic: topic.clone(),
                    ..rig.messages().ordered_task(&format!("key {}", number % 10))
                })
                .collect();
            rig.process.publish(tasks).await;
        }
        let mut transaction = connection.begin().await.unwrap();
        let before = reads(&mut transaction).await;
        let (held, has_any): (Vec<String>, bool) =
            sqlx::query_as("SELECT held, has_any FROM aftercommit.tasks_held_keys($1, $2)")
                .bind(TOPIC.as_str())
                .bind(&keys)
                .fetch_one(&mut *transaction)
                .await
                .unwrap();
        assert_eq!((held.len(), has_any), (10, true));
        let (_, others): (Vec<String>, bool) =
            sqlx::query_as("SELECT held, has_any FROM aftercommit.tasks_held_keys($1, '{}')")
                .bind(TOPIC.as_str())
                .fetch_one(&mut *transaction)
                .await
                .unwrap();
        assert!(others);
        let asked = reads(&mut transaction).await;
        sqlx::query(
            "SELECT aftercommit.tasks_hold(ARRAY[gen_random_uuid()], ARRAY['letters'], ARRAY['send'], ARRAY[NULL], \
               ARRAY[NULL], ARRAY[NULL]::timestamptz[], ARRAY['key 1'], ARRAY[now()], ARRAY[NULL], ARRAY[NULL]::uuid[], \
               ARRAY['x'::bytea], ARRAY[0::bigint], ARRAY[1], ARRAY[1], ARRAY['code'], ARRAY['reason'])",
        )
        .execute(&mut *transaction)
        .await
        .unwrap();
        let held = reads(&mut transaction).await;
        seen.push((statistics, asked - before, held - asked));
        transaction.rollback().await.unwrap();
    }
    for (statistics, asked, held) in seen {
        assert!(asked <= 30, "{statistics}: read {asked} rows to tell of 100 keys");
        assert!(held <= 10, "{statistics}: read {held} rows to hold one");
    }
    rig.stop().await;
}

#[tokio::test]
async fn whoever_never_waits_for_long_because_another_queue_always_has_something_gets_what_is_held_all_the_same() {
    let rig = Rig::start().await;
    let ids = rig.process.publish(rig.messages().tasks(3)).await;
    let mut deliveries = rig.process.consume(10).await;
    let taking = async {
        let mut taken = Vec::new();
        while taken.len() < ids.len() {
            match deliveries.next().now_or_never() {
                Some(delivery) => taken.push(delivery.unwrap().unwrap()),
                // Here the other queue's task would be run.
                None => tokio::task::yield_now().await,
            }
        }
        taken
    };
    let taken = tokio::time::timeout(SOON, taking)
        .await
        .expect("they are not passed over");
    let taken: Vec<MessageId> = taken.iter().map(|delivery| id_of(&**delivery)).collect();
    assert_eq!(taken, ids);
    rig.stop().await;
}

#[tokio::test]
async fn successes_are_kept_as_it_is_configured() {
    let rig = Rig::start().await;
    for (record_successes, expected) in [
        (RecordSuccesses::All, 1000..=1000),
        (RecordSuccesses::Sampled, 1..=40),
        (RecordSuccesses::None, 0..=0),
    ] {
        let mut options = PostgresOptions::new(rig.store.url());
        options.record_successes = record_successes;
        let process = Process::start_with(options, &rig.services, 3, PostgresQueueOptions::default()).await;
        let kept = (0..1000).filter(|_| process.queue.keeps(&Outcome::Completed)).count();
        assert!(expected.contains(&kept), "{record_successes:?}: {kept}");
        assert!(process.queue.keeps(&Outcome::Skipped(Reason::new("gone"))));
        process.stop().await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn depths_count_the_consumers_that_live() {
    let rig = Rig::start().await;
    let other = rig.another(60).await;
    let consumers = async || {
        let depths = rig.process.queue.depths().await.unwrap();
        depths.into_iter().find(|depth| depth.topic == TOPIC).unwrap().consumers
    };
    rig.process.publish(rig.messages().tasks(1)).await;
    assert_eq!(consumers().await, Some(0));
    let _own = rig.process.consume(1).await;
    let others = (other.consume(1).await, other.consume(1).await);
    assert_eq!(consumers().await, Some(3));
    other.stop().await;
    drop(others);
    rig.advance(PAST_LEASE).await;
    ok("a rescue", rig.process.queue.rescue_expired()).await;
    assert_eq!(consumers().await, Some(1));
    rig.stop().await;
}
