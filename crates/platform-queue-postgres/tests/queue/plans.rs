//! How the database does it, whatever its statistics say.

use std::time::Duration;

use aftercommit_domain::contract::CorrelationId;
use aftercommit_domain::lineage::Lineage as _;
use aftercommit_domain::tasks::Outcome;
use aftercommit_testkit::conformance::support::{next, ok};
use sqlx::{Connection as _, PgConnection};

use crate::rig::Rig;
use crate::steps::TOPIC;

/// Rows that this connection has read so far: through an index, or, of the table, through none.
async fn read_through(connection: &mut PgConnection, index: &str) -> i64 {
    sqlx::query_scalar("SELECT pg_stat_get_xact_tuples_returned($1::regclass)")
        .bind(format!("aftercommit.{index}"))
        .fetch_one(connection)
        .await
        .unwrap()
}

async fn consumer(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "INSERT INTO aftercommit.consumers (process, worker, topic, lease_until) \
         VALUES (1, 'test', 'letters', 'infinity') RETURNING id",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

async fn claim(connection: &mut PgConnection, consumer: i64, limit: i32) -> usize {
    sqlx::query("SELECT * FROM aftercommit.tasks_claim($1, $2, $3, 7, true, '-infinity')")
        .bind(consumer)
        .bind(TOPIC.as_str())
        .bind(limit)
        .fetch_all(connection)
        .await
        .unwrap()
        .len()
}

#[tokio::test]
async fn a_claim_reads_what_it_takes_through_the_index_of_ready_tasks_and_nothing_else() {
    let rig = Rig::start().await;
    let mut connection = rig.pool().acquire().await.unwrap();
    let consumer = consumer(&mut connection).await;
    // As the statistics of an empty table, of none, and of a full one say.
    for statistics in ["ANALYZE aftercommit.tasks", "SELECT 1", "ANALYZE aftercommit.tasks"] {
        sqlx::raw_sql(statistics).execute(&mut *connection).await.unwrap();
        for _ in 0..3 {
            rig.process.publish(rig.messages().tasks(1000)).await;
        }
        let mut claimer = rig.pool().acquire().await.unwrap().detach();
        let mut transaction = claimer.begin().await.unwrap();
        assert_eq!(claim(&mut transaction, consumer, 10).await, 10);
        let read = read_through(&mut transaction, "tasks_ready").await;
        // And, once, what the claims before this one took.
        assert!(read <= 30, "{statistics}: read {read} rows to take 10");
        assert_eq!(
            read_through(&mut transaction, "tasks").await,
            0,
            "{statistics}: the table was read"
        );
        transaction.commit().await.unwrap();
    }
    drop(connection);
    rig.stop().await;
}

#[tokio::test]
async fn settling_reads_what_it_settles_through_its_key_and_nothing_else() {
    let rig = Rig::start().await;
    rig.process.publish(rig.messages().tasks(1000)).await;
    rig.process.publish(rig.messages().tasks(1000)).await;
    let mut connection = rig.pool().acquire().await.unwrap();
    let consumer = consumer(&mut connection).await;
    assert_eq!(claim(&mut connection, consumer, 1000).await, 1000);
    let held: Vec<i64> = sqlx::query_scalar("SELECT seq FROM aftercommit.tasks WHERE state = 1 ORDER BY seq LIMIT 5")
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    let mut settler = rig.pool().acquire().await.unwrap().detach();
    let mut transaction = settler.begin().await.unwrap();
    let before = read_through(&mut transaction, "tasks_pkey").await;
    let settled: Vec<i64> = sqlx::query_scalar(
        "SELECT aftercommit.tasks_settle('{}', $1, array_fill(7::bigint, ARRAY[5]), array_fill(true, ARRAY[5]), \
           '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
    )
    .bind(&held)
    .fetch_one(&mut *transaction)
    .await
    .unwrap();
    assert_eq!(settled, held);
    // Each as it was published and as it was claimed.
    let read = read_through(&mut transaction, "tasks_pkey").await - before;
    assert!(read <= 10, "read {read} rows to settle 5");
    for other in ["tasks_held", "tasks_ready", "tasks"] {
        assert_eq!(read_through(&mut transaction, other).await, 0, "{other}");
    }
    transaction.commit().await.unwrap();
    drop(connection);
    rig.stop().await;
}

#[tokio::test]
async fn a_claim_of_an_unordered_task_does_not_wait_for_the_disk_and_one_of_an_ordered_task_does() {
    let rig = Rig::start().await;
    let mut connection = rig.pool().acquire().await.unwrap();
    let consumer = consumer(&mut connection).await;
    drop(connection);
    for (task, expected) in [(rig.messages().task(), "off"), (rig.messages().ordered_task("a"), "on")] {
        rig.process.publish(vec![task]).await;
        let mut transaction = rig.pool().begin().await.unwrap();
        assert_eq!(claim(&mut transaction, consumer, 10).await, 1);
        let durability: String = sqlx::query_scalar("SELECT current_setting('synchronous_commit')")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        assert_eq!(durability, expected);
        transaction.commit().await.unwrap();
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_ended_leaves_no_row_behind_but_its_outcome() {
    let rig = Rig::start().await;
    rig.process.publish(rig.messages().tasks(20)).await;
    let mut deliveries = rig.process.consume(50).await;
    for _ in 0..20 {
        let delivery = next(&mut deliveries, "a task").await;
        ok("an ack", delivery.ack(&Outcome::Completed)).await;
    }
    assert_eq!(rig.count("SELECT count(*) FROM aftercommit.tasks").await, 0);
    assert_eq!(rig.count("SELECT count(*) FROM aftercommit.task_outcomes").await, 20);
    rig.stop().await;
}

#[tokio::test]
async fn what_belongs_to_a_request_is_found_among_many_events_through_its_index() {
    let rig = Rig::start().await;
    let mut connection = rig.pool().acquire().await.unwrap().detach();
    for statistics in ["SELECT 1", "ANALYZE aftercommit.event_log"] {
        sqlx::query(
            "INSERT INTO aftercommit.event_log (id, published_at, name, occurred_at, correlation_id, body) \
             SELECT gen_random_uuid(), aftercommit.clock(), 'LetterWritten', aftercommit.clock(), \
               'request ' || number, '{}' \
             FROM generate_series(1, 5000) AS number",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        sqlx::raw_sql(statistics).execute(&mut connection).await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        let found = sqlx::query("SELECT * FROM aftercommit.event_log_of('request 77', '{}', 1001)")
            .fetch_all(&mut *transaction)
            .await
            .unwrap();
        assert!((1..=2).contains(&found.len()), "{}", found.len());
        let read: i64 = sqlx::query_scalar(
            "SELECT sum(pg_stat_get_xact_tuples_returned(inhrelid))::bigint FROM pg_inherits \
             WHERE inhparent = 'aftercommit.event_log'::regclass",
        )
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
        assert_eq!(read, 0, "{statistics}: the log was read");
        transaction.rollback().await.unwrap();
    }
    connection.close().await.unwrap();
    rig.stop().await;
}

#[tokio::test]
async fn how_the_tasks_of_a_request_ended_is_found_through_indexes_and_the_outcomes_are_not_read() {
    let rig = Rig::start().await;
    let mut connection = rig.pool().acquire().await.unwrap().detach();
    sqlx::query(
        "INSERT INTO aftercommit.task_outcomes \
           (id, topic, task, attempts, outcome, enqueued_at, finished_at, correlation_id) \
         SELECT gen_random_uuid(), 'letters', 'send', 1, 'completed', aftercommit.clock(), aftercommit.clock(), \
           'request ' || number \
         FROM generate_series(1, 20000) AS number",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    sqlx::raw_sql("ANALYZE aftercommit.task_outcomes")
        .execute(&mut connection)
        .await
        .unwrap();
    let of = CorrelationId::new("request 77").unwrap();
    let found = rig.process.queue.of(&of, 1000).await.unwrap();
    assert_eq!(found.messages.len(), 1);
    // Both numbers are told at the same time, a while after the transaction.
    let sql = "SELECT idx_scan, seq_tup_read FROM pg_stat_user_tables WHERE relname = 'task_outcomes' AND idx_scan > 0";
    let told = async {
        loop {
            let numbers: Option<(i64, i64)> = sqlx::query_as(sql).fetch_optional(&mut connection).await.unwrap();
            if let Some(numbers) = numbers {
                return numbers;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (_, read) = tokio::time::timeout(Duration::from_secs(30), told).await.unwrap();
    assert_eq!(read, 0, "the outcomes were read");
    connection.close().await.unwrap();
    rig.stop().await;
}
