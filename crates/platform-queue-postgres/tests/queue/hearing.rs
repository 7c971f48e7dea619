//! Hearing of what other processes publish. Nobody polls here for an hour.

use std::time::Duration;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::time::{Clock as _, after, seconds};
use aftercommit_platform_db_postgres::PostgresOptions;
use aftercommit_platform_queue_postgres::PostgresQueueOptions;
use aftercommit_testkit::conformance::support::next;

use crate::rig::{Process, Rig};
use crate::steps::{TOPIC, id_of};

fn without_polling() -> PostgresQueueOptions {
    PostgresQueueOptions {
        poll_interval: Duration::from_hours(1),
        ..PostgresQueueOptions::default()
    }
}

#[tokio::test]
async fn tasks_of_another_process_are_taken_long_before_it_polls() {
    let rig = Rig::start().await;
    let other = Process::start_with(
        PostgresOptions::new(rig.store.url()),
        &rig.services,
        2,
        without_polling(),
    )
    .await;
    let mut deliveries = other.consume(1).await;
    for _ in 0..5 {
        assert!(futures::FutureExt::now_or_never(deliveries.next()).is_none());
        let ids = rig.process.publish(rig.messages().tasks(1)).await;
        let delivery = next(&mut deliveries, "the task").await;
        assert_eq!(id_of(&*delivery), ids[0]);
        delivery
            .ack(&aftercommit_domain::tasks::Outcome::Completed)
            .await
            .unwrap();
    }
    other.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_delayed_task_of_another_process_is_known_long_before_it_polls() {
    let rig = Rig::start().await;
    sqlx::raw_sql("DELETE FROM public.test_clock")
        .execute(rig.pool())
        .await
        .unwrap();
    let now: aftercommit_domain::time::Timestamp =
        sqlx::query_scalar("SELECT now()").fetch_one(rig.pool()).await.unwrap();
    rig.services.clock.set(now);
    let other = Process::start_with(
        PostgresOptions::new(rig.store.url()),
        &rig.services,
        2,
        without_polling(),
    )
    .await;
    let mut deliveries = other.consume(1).await;
    assert!(futures::FutureExt::now_or_never(deliveries.next()).is_none());
    let task = TaskEnvelope {
        not_before: Some(after(rig.services.clock.now(), seconds(1))),
        ..rig.messages().task()
    };
    assert_eq!(task.topic, TOPIC);
    rig.process.publish(vec![task]).await;
    next(&mut deliveries, "the task").await;
    other.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn what_a_process_gives_back_is_taken_by_another_long_before_it_polls() {
    let rig = Rig::start().await;
    let ids = rig.process.publish(rig.messages().tasks(1)).await;
    let mut mine = rig.process.consume(1).await;
    let delivery = next(&mut mine, "the task").await;
    let other = Process::start_with(
        PostgresOptions::new(rig.store.url()),
        &rig.services,
        2,
        without_polling(),
    )
    .await;
    let mut theirs = other.consume(1).await;
    assert!(futures::FutureExt::now_or_never(theirs.next()).is_none());
    // It stops: nobody here waits for what it gives back.
    drop(mine);
    delivery.give_back().await.unwrap();
    let taken = next(&mut theirs, "what was given back").await;
    assert_eq!(id_of(&*taken), ids[0]);
    other.stop().await;
    rig.stop().await;
}
