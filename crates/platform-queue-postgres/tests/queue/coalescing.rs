//! Coalescing among processes, on a server that is set up otherwise than usual.

use std::time::Duration;

use aftercommit_domain::contract::{OrderKey, TaskEnvelope};
use aftercommit_domain::tasks::{Coalescing, Published, QueuePublisher as _};
use aftercommit_domain::time::{Timestamp, after};
use aftercommit_platform_db_postgres::PostgresOptions;
use aftercommit_platform_queue_postgres::PostgresQueueOptions;
use aftercommit_testkit::conformance::support::soon;
use futures::future::join_all;

use crate::rig::{Process, Rig};

const SECOND: Duration = Duration::from_secs(1);

fn coalesced(rig: &Rig, coalescing: Coalescing) -> TaskEnvelope {
    TaskEnvelope {
        coalescing: Some(coalescing),
        ..rig.messages().task()
    }
}

async fn publish(process: &Process, tasks: Vec<TaskEnvelope>) -> Vec<Published> {
    let results = process.queue.publish(tasks).await;
    results.into_iter().map(Result::unwrap).collect()
}

/// How many of them became tasks.
fn enqueued(published: &[Published]) -> usize {
    let is_enqueued = |one: &&Published| matches!(one, Published::Enqueued(_));
    published.iter().filter(is_enqueued).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_processes_one_publish_is_pending_also_where_transactions_are_repeatable_reads() {
    let rig = Rig::start().await;
    sqlx::raw_sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = %L', \
         current_database(), 'repeatable read'); END $$",
    )
    .execute(rig.pool())
    .await
    .unwrap();
    let options = || PostgresOptions::new(rig.store.url());
    let mut processes = Vec::new();
    for seed in 2..5 {
        let queue = PostgresQueueOptions::default();
        processes.push(Process::start_with(options(), &rig.services, seed, queue).await);
    }
    for round in 0..40 {
        let key = format!("round {round}");
        let publishing = processes.iter().map(|process| {
            let task = coalesced(&rig, Coalescing::while_pending(&key));
            publish(process, vec![task])
        });
        let published = join_all(publishing).await.concat();
        assert_eq!(enqueued(&published), 1, "{published:?}");
    }
    for process in processes {
        process.stop().await;
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_replace_ordered_tasks_of_each_others_keys_do_not_wait_for_each_other() {
    let rig = Rig::start().await;
    let other = rig.another(2).await;
    let task = |key: usize, order: usize| TaskEnvelope {
        order_key: Some(OrderKey::of(order)),
        ..coalesced(&rig, Coalescing::debounce(key, SECOND, None))
    };
    let keys = 20;
    for round in 0..20 {
        // Each takes the keys in another order, and each key changes its order key.
        let one = (0..keys).map(|key| task(key, key + round)).collect();
        let another = (0..keys).rev().map(|key| task(key, keys + key - round)).collect();
        let (one, another) = tokio::join!(publish(&rig.process, one), publish(&other, another));
        assert_eq!((one.len(), another.len()), (keys, keys));
    }
    let tasks = rig.count("SELECT count(*) FROM aftercommit.tasks").await;
    assert_eq!(tasks, i64::try_from(keys).unwrap(), "one of each key");
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(rig.count(deadlocks).await, 0);
    other.stop().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_that_waits_for_another_of_its_key_is_as_late_as_it_is_written() {
    let rig = Rig::start().await;
    sqlx::raw_sql("DELETE FROM public.test_clock")
        .execute(rig.pool())
        .await
        .unwrap();
    let task = coalesced(&rig, Coalescing::debounce("a", SECOND, None));
    let mut other = rig.pool().acquire().await.unwrap();
    // As one who is publishing under the key.
    sqlx::query("SELECT pg_advisory_lock(1634036838, hashtext($1 || E'\\x1f' || $2))")
        .bind(task.topic.as_str())
        .bind(task.window_scope())
        .execute(&mut *other)
        .await
        .unwrap();
    let publishing = publish(&rig.process, vec![task]);
    let releasing = async {
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        soon("it waits", async {
            while rig.count(waits).await == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let released: Timestamp = sqlx::query_scalar("SELECT clock_timestamp()")
            .fetch_one(&mut *other)
            .await
            .unwrap();
        sqlx::raw_sql("SELECT pg_advisory_unlock_all()")
            .execute(&mut *other)
            .await
            .unwrap();
        released
    };
    let (published, released) = tokio::join!(publishing, releasing);
    assert_eq!(enqueued(&published), 1);
    let due: Timestamp = sqlx::query_scalar("SELECT due_at FROM aftercommit.tasks")
        .fetch_one(rig.pool())
        .await
        .unwrap();
    assert!(due >= after(released, SECOND), "{due}, released at {released}");
    drop(other);
    rig.stop().await;
}
