//! The shorter way, where outbox and queue share a database.

use std::time::Duration;

use aftercommit_domain::contract::{Json, Limits};
use aftercommit_domain::events::{Outbox as _, OutboxMessage};
use aftercommit_runtime::relay::RelayOptions;
use aftercommit_testkit::faults::{Fault, Operation};

use super::invalid;
use crate::support::contracts::parcel_sent;
use crate::support::rig::Rig;

const SHORTLY: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn a_batch_is_published_and_marked_in_one_transaction() {
    let rig = Rig::new();
    let ids = [
        rig.commit_event(&parcel_sent(1, 1)).await,
        rig.commit_event(&parcel_sent(1, 2)).await,
    ];
    let relay = rig.relay_by_the_shorter_way(RelayOptions::default());
    assert_eq!(relay.relay_batch().await, Ok(2));
    assert_eq!(rig.logged().await, ids);
    let calls = [Operation::Transfer, Operation::Publish, Operation::MarkPublished];
    assert_eq!(calls.map(|operation| rig.store.calls(operation)), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_goes_the_longer_way_and_only_the_culprit_stays() {
    let rig = Rig::new();
    let bad = rig.commit_event(&parcel_sent(1, 1)).await;
    let good = rig.commit_event(&parcel_sent(2, 1)).await;
    rig.store.refuse(move |task| (task.id == bad).then(invalid));
    let relay = rig.relay_by_the_shorter_way(RelayOptions::default());
    assert_eq!(relay.relay_batch().await, Ok(2));
    assert_eq!(rig.logged().await, [good]);
    assert_eq!(rig.outbox_stats().await.quarantined, 1);
}

#[tokio::test(start_paused = true)]
async fn rows_that_cannot_be_read_are_set_aside_and_the_others_are_transferred() {
    let rig = Rig::new();
    let mut bad = rig.event(&parcel_sent(1, 1));
    bad.payload = Json::parse("{}".to_owned(), &Limits::default()).unwrap();
    rig.commit(vec![OutboxMessage::Event(bad)]).await;
    let good = rig.commit_event(&parcel_sent(2, 1)).await;
    let relay = rig.relay_by_the_shorter_way(RelayOptions::default());
    assert_eq!(relay.relay_batch().await, Ok(2));
    assert_eq!(rig.logged().await, [good]);
    assert_eq!(rig.store.quarantined(10).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_was_done_but_whose_reply_was_lost_changes_nothing_more() {
    let rig = Rig::new();
    rig.store.script(Operation::Transfer, [Fault::LoseReply]);
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    let relay = rig.relay_by_the_shorter_way(RelayOptions::default());
    assert_eq!(relay.relay_batch().await.unwrap_err().code, "outbox.unavailable");
    assert_eq!(relay.relay_batch().await, Ok(0), "it was done");
    assert_eq!(rig.logged().await, [id]);
    assert_eq!(rig.store.calls(Operation::Publish), 0);
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_transfer_that_failed_need_not_wait_for_the_end_of_their_lease() {
    let rig = Rig::new();
    rig.store.script(Operation::Transfer, [Fault::Fail, Fault::Hang]);
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    let relay = rig.relay_by_the_shorter_way(RelayOptions::default());
    for _ in 0..2 {
        assert_eq!(relay.relay_batch().await.unwrap_err().code, "outbox.unavailable");
        assert_eq!(rig.outbox_stats().await.waiting, 1);
    }
    assert_eq!(relay.relay_batch().await, Ok(1));
    assert_eq!(rig.logged().await, [id]);
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_when_another_relay_may_have_it_is_not_published_the_longer_way() {
    let rig = Rig::new();
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    let options = RelayOptions::default();
    let trusted = options.lease.saturating_sub(options.publish_deadline);
    // What a process sees that is stopped now and then.
    rig.store
        .script(Operation::Claim, [Fault::Delay(trusted.saturating_sub(SHORTLY))]);
    rig.store.script(Operation::Transfer, [Fault::Delay(SHORTLY * 2)]);
    rig.store.refuse(|_| Some(invalid()));
    let relay = rig.relay_by_the_shorter_way(options);
    assert_eq!(relay.relay_batch().await, Ok(1));
    assert_eq!(rig.store.calls(Operation::Publish), 0);
    assert_eq!(rig.outbox_stats().await.waiting, 1, "given back untouched");
    rig.store.refuse_none();
    assert_eq!(relay.relay_batch().await, Ok(1));
    assert_eq!(rig.logged().await, [id]);
}
