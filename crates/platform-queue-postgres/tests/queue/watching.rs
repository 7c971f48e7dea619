//! Noticing what other processes do.

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::time::{Clock as _, after, seconds};
use aftercommit_testkit::conformance::support::next;

use crate::rig::Rig;
use crate::steps::{TOPIC, id_of};

#[tokio::test]
async fn a_task_of_another_process_is_noticed_within_a_second_or_so() {
    let rig = Rig::start().await;
    let other = rig.another(2).await;
    let mut deliveries = other.consume(1).await;
    assert!(futures::FutureExt::now_or_never(deliveries.next()).is_none());
    let ids = rig.process.publish(rig.messages().tasks(1)).await;
    assert_eq!(id_of(&*next(&mut deliveries, "the task").await), ids[0]);
    other.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_delayed_task_of_another_process_starts_at_its_time() {
    let rig = Rig::start().await;
    // From here the database tells the time itself.
    sqlx::raw_sql("DELETE FROM public.test_clock")
        .execute(rig.pool())
        .await
        .unwrap();
    let now: aftercommit_domain::time::Timestamp =
        sqlx::query_scalar("SELECT now()").fetch_one(rig.pool()).await.unwrap();
    rig.services.clock.set(now);
    let other = rig.another(2).await;
    let mut deliveries = other.consume(1).await;
    let due = after(rig.services.clock.now(), seconds(2));
    let task = TaskEnvelope {
        not_before: Some(due),
        ..rig.messages().task()
    };
    rig.process.publish(vec![task]).await;
    next(&mut deliveries, "the task").await;
    let started: aftercommit_domain::time::Timestamp = sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(rig.pool())
        .await
        .unwrap();
    let late = started - due;
    assert!(late >= chrono::Duration::zero(), "{late} before its time");
    assert!(
        late < chrono::Duration::milliseconds(400),
        "{late} after its time, as if it had been polled for"
    );
    other.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn what_comes_past_every_process_is_found_when_someone_says_so() {
    let rig = Rig::start().await;
    let mut deliveries = rig.process.consume(1).await;
    for _ in 0..5 {
        assert!(futures::FutureExt::now_or_never(deliveries.next()).is_none());
        rig.publish_raw(&TOPIC, b"{}").await;
        let delivery = next(&mut deliveries, "the bytes").await;
        delivery.give_back().await.unwrap();
        let delivery = next(&mut deliveries, "the bytes again").await;
        delivery
            .ack(&aftercommit_domain::tasks::Outcome::Completed)
            .await
            .unwrap();
    }
    rig.stop().await;
}
