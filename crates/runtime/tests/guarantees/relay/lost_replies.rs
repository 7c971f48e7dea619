//! Crashes, lost replies and lost leases: possibly twice, never lost.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::ids::MessageId;
use aftercommit_runtime::relay::RelayOptions;
use aftercommit_testkit::faults::{Fault, Operation};
use tokio::time::Instant;

use super::LEASE;
use crate::support::contracts::parcel_sent;
use crate::support::handlers::Seen;
use crate::support::rig::Rig;

/// The ids of every publish, in order.
fn record_publishes(rig: &Rig) -> Seen<MessageId> {
    let published = Seen::nothing();
    rig.store.refuse({
        let published = published.clone();
        move |task| {
            published.add(task.id);
            None
        }
    });
    published
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_hangs_past_its_deadline_is_unknown_and_comes_again_under_the_same_id() {
    let rig = Rig::new();
    let published = record_publishes(&rig);
    rig.store.script(Operation::Publish, [Fault::Hang]);
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    let relay = rig.relay(RelayOptions::default());
    let started = Instant::now();
    let failure = relay.relay_batch().await.unwrap_err();
    assert_eq!(failure.code, "queue.unknown");
    assert_eq!(started.elapsed(), RelayOptions::default().publish_deadline);
    assert_eq!(rig.logged().await, []);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(relay.relay_batch().await, Ok(1));
    assert_eq!(published.all(), [id, id]);
    assert_eq!(rig.logged().await, [id]);
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_was_done_but_whose_reply_was_lost_is_repeated_under_one_id_and_never_lost() {
    let rig = Rig::new();
    let published = record_publishes(&rig);
    rig.store.script(Operation::Publish, [Fault::LoseReply]);
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    let engine = rig.start_relay(RelayOptions::default());
    rig.until("it is marked", async || rig.logged().await == [id]).await;
    assert_eq!(published.all(), [id, id], "published twice, under one id");
    assert_eq!(rig.outbox_stats().await.waiting, 0);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_was_done_but_whose_reply_was_lost_changes_nothing_more() {
    let rig = Rig::new();
    let published = record_publishes(&rig);
    rig.store.script(Operation::MarkPublished, [Fault::LoseReply]);
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    let relay = rig.relay(RelayOptions::default());
    assert_eq!(relay.relay_batch().await.unwrap_err().code, "outbox.unavailable");
    tokio::time::sleep(LEASE * 2).await;
    assert_eq!(relay.relay_batch().await, Ok(0));
    assert_eq!((published.all(), rig.logged().await), (vec![id], vec![id]));
}

#[tokio::test(start_paused = true)]
async fn what_was_published_but_not_marked_is_published_again_when_the_lease_is_over() {
    let rig = Rig::new();
    let published = record_publishes(&rig);
    rig.store.script(Operation::MarkPublished, [Fault::Fail]);
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    let relay = rig.relay(RelayOptions::default());
    assert_eq!(relay.relay_batch().await.unwrap_err().code, "outbox.unavailable");
    assert_eq!(relay.relay_batch().await, Ok(0), "until then it is nobody's");
    tokio::time::sleep(LEASE).await;
    assert_eq!(relay.relay_batch().await, Ok(1));
    assert_eq!((published.all(), rig.logged().await), (vec![id, id], vec![id]));
}

#[tokio::test(start_paused = true)]
async fn rows_that_failed_are_given_back_even_when_those_that_did_not_cannot_be_marked() {
    let rig = Rig::new();
    let refused = rig.commit_event(&parcel_sent(1, 1)).await;
    rig.commit_event(&parcel_sent(2, 1)).await;
    rig.store
        .refuse(move |task| (task.id == refused).then(super::unroutable));
    rig.store.script(Operation::MarkPublished, [Fault::Fail]);
    assert!(rig.relay(RelayOptions::default()).relay_batch().await.is_err());
    let stats = rig.outbox_stats().await;
    assert_eq!((stats.waiting, stats.claimed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_mark_with_a_stale_token_changes_nothing() {
    let rig = Rig::new();
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    let first = Arc::new(rig.relay(RelayOptions::default()));
    let second = rig.relay(RelayOptions::default());
    // The first relay marks long after its lease; by then the second has the row and is about to mark it.
    rig.store
        .script(Operation::MarkPublished, [Fault::Delay(LEASE * 2), Fault::Hold]);
    let (late, timely, ()) = tokio::join!(
        first.relay_batch(),
        async {
            tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
            second.relay_batch().await
        },
        async {
            tokio::time::sleep(LEASE * 2 + Duration::from_secs(1)).await;
            let stats = rig.outbox_stats().await;
            assert_eq!(
                (stats.claimed, rig.logged().await),
                (1, vec![]),
                "the stale mark did nothing"
            );
            rig.store.let_go(1);
        }
    );
    assert_eq!((late, timely), (Ok(1), Ok(1)));
    assert_eq!(rig.logged().await, [id]);
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_was_stopped_past_its_lease_publishes_nothing() {
    let rig = Rig::new();
    let published = record_publishes(&rig);
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    // What a stopped process sees: the claim's answer, long after it was made.
    let options = RelayOptions::default();
    rig.store.script(
        Operation::Claim,
        [Fault::Delay(options.lease.saturating_sub(options.publish_deadline))],
    );
    let relay = rig.relay(options);
    assert_eq!(relay.relay_batch().await, Ok(1));
    assert_eq!(published.count(), 0);
    assert_eq!(rig.outbox_stats().await.waiting, 1, "given back untouched");
    assert_eq!(relay.relay_batch().await, Ok(1));
    assert_eq!(published.all(), [id]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_shorter_than_the_publish_deadline_still_leaves_time_to_publish() {
    let rig = Rig::new();
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    let relay = rig.relay(RelayOptions {
        lease: Duration::from_secs(1),
        batch_size: 0,
        ..RelayOptions::default()
    });
    assert_eq!(relay.relay_batch().await, Ok(1));
    assert_eq!(rig.logged().await, [id]);
}
