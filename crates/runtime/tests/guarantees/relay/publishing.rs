//! What is published and marked when nothing, or only something, goes wrong.

use std::sync::Arc;

use aftercommit_domain::contract::{EventEnvelope, Limits};
use aftercommit_domain::events::OutboxMessage;
use aftercommit_domain::tasks::TaskState;
use aftercommit_runtime::relay::RelayOptions;
use aftercommit_testkit::faults::{Fault, Operation};

use super::{unavailable, unroutable};
use crate::support::contracts::{deliver, parcel_sent};
use crate::support::handlers::Seen;
use crate::support::rig::Rig;

#[tokio::test(start_paused = true)]
async fn a_committed_event_is_published_then_marked_and_kept_in_the_event_log() {
    let rig = Rig::new();
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    rig.store.script(Operation::Publish, [Fault::Hold]);
    let relay = rig.relay(RelayOptions::default());
    let (relayed, ()) = tokio::join!(relay.relay_batch(), async {
        rig.store.wait_for_held(1).await;
        assert_eq!(
            rig.store.calls(Operation::MarkPublished),
            0,
            "not marked before it is published"
        );
        assert_eq!(rig.logged().await, []);
        rig.store.let_go(1);
    });
    assert_eq!(relayed, Ok(1));
    assert_eq!(rig.logged().await, [id]);
    assert_eq!(rig.state(id).await, TaskState::Available);
    let stats = rig.outbox_stats().await;
    assert_eq!((stats.waiting, stats.claimed), (0, 0));
    assert_eq!(relay.relay_batch().await, Ok(0), "nothing is left");
}

#[tokio::test(start_paused = true)]
async fn events_and_tasks_of_one_transaction_leave_in_one_batch() {
    let rig = Rig::new();
    let (event, task) = (rig.event(&parcel_sent(1, 1)), rig.task(&deliver(1)));
    let (event_id, task_id) = (event.id, task.id);
    rig.commit(vec![OutboxMessage::Event(event), OutboxMessage::Task(task)])
        .await;
    assert_eq!(rig.relay(RelayOptions::default()).relay_batch().await, Ok(2));
    assert_eq!(rig.state(event_id).await, TaskState::Available);
    assert_eq!(rig.details(task_id).await.summary.topic.as_str(), "deliveries");
    assert_eq!(rig.logged().await, [event_id], "a task is no event");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_marked_when_the_publish_fails() {
    let rig = Rig::new();
    for parcel in 1..=3 {
        rig.commit_event(&parcel_sent(parcel, 1)).await;
    }
    rig.store.refuse(|_| Some(unavailable()));
    let failure = rig.relay(RelayOptions::default()).relay_batch().await.unwrap_err();
    assert_eq!(failure.code, "queue.unavailable");
    assert_eq!(rig.store.calls(Operation::MarkPublished), 0);
    assert_eq!(rig.logged().await, []);
    assert_eq!(
        rig.outbox_stats().await.waiting,
        3,
        "given back, not held until their lease ends"
    );
}

#[tokio::test(start_paused = true)]
async fn a_partial_batch_marks_exactly_the_confirmed_rows() {
    let rig = Rig::new();
    let mut ids = Vec::new();
    for parcel in 1..=3 {
        ids.push(rig.commit_event(&parcel_sent(parcel, 1)).await);
    }
    let refused = ids[1];
    rig.store.refuse(move |task| (task.id == refused).then(unroutable));
    assert_eq!(rig.relay(RelayOptions::default()).relay_batch().await, Ok(3));
    assert_eq!(rig.logged().await, [ids[0], ids[2]]);
    let stats = rig.outbox_stats().await;
    assert_eq!((stats.waiting, stats.claimed, stats.quarantined), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_sequence_of_an_event_is_the_position_of_its_row() {
    let rig = Rig::new();
    let seen = Seen::nothing();
    rig.store.refuse({
        let seen = seen.clone();
        move |task| {
            let event = EventEnvelope::decode(task.payload.as_str().as_bytes(), &Limits::default()).unwrap();
            seen.add((event.id, event.sequence));
            None
        }
    });
    let mut expected = Vec::new();
    for position in 1..=4 {
        let id = rig.commit_event(&parcel_sent(7, 1)).await;
        expected.push((id, Some(position)));
    }
    assert_eq!(rig.relay(RelayOptions::default()).relay_batch().await, Ok(4));
    assert_eq!(seen.all(), expected);
}

#[tokio::test(start_paused = true)]
async fn several_relays_share_the_rows_without_publishing_one_twice() {
    let rig = Rig::new();
    for parcel in 0..100 {
        rig.commit_event(&parcel_sent(parcel % 10, 1)).await;
    }
    let published = Seen::nothing();
    rig.store.refuse({
        let published = published.clone();
        move |task| {
            published.add(task.id);
            None
        }
    });
    let relay = Arc::new(rig.relay(RelayOptions {
        batch_size: 7,
        ..RelayOptions::default()
    }));
    let drain = async || {
        while relay.relay_batch().await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(drain(), drain(), drain());
    let mut ids = published.all();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), published.count()), (100, 100));
}
