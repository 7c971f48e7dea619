//! The days of the event log.

use aftercommit_domain::events::EventLog as _;
use aftercommit_domain::time::{Clock as _, after, before, days};

use crate::processes::count;
use crate::rig::Rig;

const DAYS: &str = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'aftercommit.event_log'::regclass";

async fn put(rig: &Rig, at: aftercommit_domain::time::Timestamp, events: i64) {
    sqlx::query(
        "INSERT INTO aftercommit.event_log (id, published_at, name, occurred_at, body) \
         SELECT gen_random_uuid(), $1, 'Happened', $1, '\\x7b7d' FROM generate_series(1, $2)",
    )
    .bind(at)
    .bind(events)
    .execute(&rig.database.pools().engine)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_made_ahead_and_dropped_whole() {
    let rig = Rig::start().await;
    let log = rig.database.event_log();
    let start = rig.services.clock.now();
    // Makes the days of the test's clock.
    log.prune(before(start, days(1)), 100).await.unwrap();
    let made = count(&rig, DAYS).await;
    put(&rig, start, 3000).await;
    put(&rig, after(start, days(1)), 5).await;
    assert_eq!(count(&rig, "SELECT count(*) FROM aftercommit.event_log_rest").await, 0);
    rig.advance(days(3)).await;
    // More than the limit: dropping a day costs the same however much it holds.
    assert_eq!(log.prune(after(start, days(1)), 100).await.unwrap(), 3000);
    assert_eq!(count(&rig, "SELECT count(*) FROM aftercommit.event_log").await, 5);
    // One day less, three more ahead.
    assert_eq!(count(&rig, DAYS).await, made + 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_day_nobody_made_are_kept_and_forgotten_all_the_same() {
    let rig = Rig::start().await;
    let log = rig.database.event_log();
    let far = after(rig.services.clock.now(), days(400));
    put(&rig, far, 7).await;
    assert_eq!(count(&rig, "SELECT count(*) FROM aftercommit.event_log_rest").await, 7);
    rig.advance(days(401)).await;
    assert_eq!(log.prune(after(far, days(1)), 100).await.unwrap(), 7);
    rig.stop().await;
}
