//! What becomes of rows that are not published.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Json, Limits};
use aftercommit_domain::events::{
    Claim, Claimed, Marked, Outbox, OutboxError, OutboxMessage, OutboxStats, QuarantinedRow, Release,
};
use aftercommit_domain::time::Timestamp;
use aftercommit_runtime::relay::RelayOptions;
use aftercommit_testkit::InMemory;
use aftercommit_testkit::faults::{Faulty, Operation};
use async_trait::async_trait;

use super::{attempts, invalid, unavailable, unroutable};
use crate::support::contracts::parcel_sent;
use crate::support::handlers::Seen;
use crate::support::log::CapturedLog;
use crate::support::rig::Rig;

#[tokio::test(start_paused = true)]
async fn a_row_that_fails_waits_longer_each_time_and_is_quarantined_after_its_last_attempt() {
    let rig = Rig::new();
    rig.commit_event(&parcel_sent(1, 1)).await;
    let tries: Seen<Timestamp> = Seen::nothing();
    rig.store.refuse({
        let (tries, clock) = (tries.clone(), Arc::clone(&rig.clock));
        move |_| {
            tries.add(clock.now());
            Some(unroutable())
        }
    });
    let engine = rig.start_relay(attempts(5));
    rig.until("the row is quarantined", async || {
        rig.outbox_stats().await.quarantined == 1
    })
    .await;
    let tries = tries.all();
    assert_eq!(tries.len(), 5);
    let gaps: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps.windows(2).all(|pair| pair[0] < pair[1]),
        "each wait is longer: {gaps:?}"
    );
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_row_that_can_never_be_published_is_quarantined_at_once_and_its_aggregate_goes_on() {
    let rig = Rig::new();
    let bad = rig.commit_event(&parcel_sent(1, 1)).await;
    let next = rig.commit_event(&parcel_sent(1, 2)).await;
    let last = rig.commit_event(&parcel_sent(1, 3)).await;
    rig.store.refuse(move |task| (task.id == bad).then(invalid));
    let relay = rig.relay(RelayOptions::default());
    assert_eq!(relay.relay_batch().await, Ok(3));
    assert_eq!(rig.outbox_stats().await.quarantined, 1);
    assert_eq!(rig.logged().await, [], "what followed it was not tried");
    assert_eq!(relay.relay_batch().await, Ok(2), "and need not wait");
    assert_eq!(rig.logged().await, [next, last]);
}

#[tokio::test(start_paused = true)]
async fn rows_of_one_aggregate_wait_behind_one_that_fails_and_others_do_not() {
    let rig = Rig::new();
    let head = rig.commit_event(&parcel_sent(1, 1)).await;
    let follower = rig.commit_event(&parcel_sent(1, 2)).await;
    let other = rig.commit_event(&parcel_sent(2, 1)).await;
    rig.store.refuse(move |task| (task.id == head).then(unroutable));
    let engine = rig.start_relay(RelayOptions::default());
    rig.until("the other aggregate's event is published", async || {
        rig.logged().await == [other]
    })
    .await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(rig.logged().await, [other], "the follower waits for its head");
    rig.store.refuse_none();
    rig.until("all are published", async || rig.logged().await.len() == 3)
        .await;
    assert_eq!(rig.logged().await, [other, head, follower]);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_any_length_counts_as_no_attempt_and_needs_no_restart() {
    let rig = Rig::new();
    let id = rig.commit_event(&parcel_sent(1, 1)).await;
    rig.store.refuse(|_| Some(unavailable()));
    let engine = rig.start_relay(attempts(2));
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!(rig.store.calls(Operation::Publish) > 500, "it keeps trying");
    assert_eq!(rig.outbox_stats().await.quarantined, 0);
    rig.store.refuse_none();
    let back = rig.now();
    rig.until("it is published", async || rig.logged().await == [id]).await;
    assert!(rig.now() - back <= chrono::Duration::seconds(5), "and is back in time");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn during_an_outage_the_backlog_is_not_turned_over_and_over() {
    let rig = Rig::new();
    for parcel in 0..1000 {
        rig.commit_event(&parcel_sent(parcel, 1)).await;
    }
    rig.store.refuse(|_| Some(unavailable()));
    let engine = rig.start_relay(RelayOptions {
        batch_size: 10,
        ..RelayOptions::default()
    });
    tokio::time::sleep(Duration::from_mins(1)).await;
    let claims = rig.store.calls(Operation::Claim);
    assert!((10..60).contains(&claims), "claims of a minute: {claims}");
    let report = rig.report("relay");
    assert!(
        report.cause.unwrap().starts_with("queue.unavailable"),
        "and readiness tells why"
    );
    rig.store.refuse_none();
    rig.until("all are published", async || rig.outbox_stats().await.waiting == 0)
        .await;
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_row_of_a_kind_this_build_does_not_know_is_quarantined_and_not_lost() {
    let rig = Rig::new();
    rig.commit_event(&parcel_sent(1, 1)).await;
    let outbox = Arc::new(OfTheFuture(rig.store.clone()));
    let relay = rig.relay_over(outbox, RelayOptions::default());
    assert_eq!(relay.relay_batch().await, Ok(1));
    assert_eq!(rig.store.calls(Operation::Publish), 0);
    assert_eq!(rig.outbox_stats().await.quarantined, 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_not_what_its_contract_says_is_quarantined_with_the_reason_and_its_aggregate_goes_on() {
    let rig = Rig::new();
    let with_payload = |payload: &str| {
        let mut event = rig.event(&parcel_sent(1, 1));
        event.payload = Json::parse(payload.to_owned(), &Limits::default()).unwrap();
        event
    };
    let bad = [
        (
            with_payload(r#"{"organization_id": "1", "project_id": "2", "number": 1}"#),
            "payload.malformed: the payload of ParcelSent is malformed: missing field `parcel_id`",
        ),
        (
            with_payload(r#"{"organization_id": "other", "project_id": "2", "parcel_id": 1, "number": 1}"#),
            "tenant.mismatch",
        ),
    ];
    let reasons: Vec<&str> = bad.iter().map(|(_, reason)| *reason).rev().collect();
    for (event, _) in bad {
        rig.commit(vec![OutboxMessage::Event(event)]).await;
    }
    let next = rig.commit_event(&parcel_sent(1, 2)).await;
    let relay = rig.relay(RelayOptions::default());
    assert_eq!(relay.relay_batch().await, Ok(3));
    assert_eq!(rig.logged().await, [next]);
    let aside = rig.store.quarantined(10).await.unwrap();
    assert_eq!(aside.len(), reasons.len());
    for (row, reason) in aside.iter().zip(reasons) {
        assert!(row.reason.starts_with(reason), "{}", row.reason);
    }
}

/// An event of another producer's making.
fn written(rig: &Rig, name: &str, version: u16, payload: &str) -> OutboxMessage {
    let mut event = rig.event(&parcel_sent(9, 1));
    event.name = name.parse().unwrap();
    event.version = version;
    event.payload = Json::parse(payload.to_owned(), &Limits::default()).unwrap();
    OutboxMessage::Event(event)
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_a_quarantined_event_says_nothing_of_what_somebody_wrote_in_clear() {
    let rig = Rig::new();
    let payload = r#"{"organization_id":"1","project_id":"2","parcel_id":1,"pin":"jane@secret.example/4711"}"#;
    rig.commit(vec![written(&rig, "PinIssued", 1, payload)]).await;
    let log = CapturedLog::start();
    rig.relay(RelayOptions::default()).relay_batch().await.unwrap();
    let [row] = &rig.store.quarantined(10).await.unwrap()[..] else {
        panic!("one row")
    };
    assert!(row.reason.contains("invalid type: string, expected"), "{}", row.reason);
    assert!(!row.reason.contains("secret"), "{}", row.reason);
    assert_eq!(log.lines_with("secret"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_older_event_that_cannot_be_brought_to_this_version_is_quarantined() {
    let rig = Rig::new();
    let payload = r#"{"organization_id":"1","project_id":"10"}"#;
    rig.commit(vec![written(&rig, "ParcelSeen", 1, payload)]).await;
    rig.relay(RelayOptions::default()).relay_batch().await.unwrap();
    assert_eq!(rig.outbox_stats().await.quarantined, 1);
}

#[tokio::test(start_paused = true)]
async fn a_contract_that_panics_stops_neither_the_relay_nor_the_other_events() {
    let rig = Rig::new();
    let payload = r#"{"organization_id":"1","project_id":"10","parcel":-1}"#;
    rig.commit(vec![written(&rig, "ParcelSeen", 1, payload)]).await;
    let other = rig.commit_event(&parcel_sent(1, 1)).await;
    assert_eq!(rig.relay(RelayOptions::default()).relay_batch().await, Ok(2));
    let logged = rig.logged().await;
    assert!(logged.contains(&other), "{logged:?}");
    assert_eq!(logged.len(), 2, "what panics is the dispatcher's to bear");
}

#[tokio::test(start_paused = true)]
async fn what_this_build_cannot_judge_is_for_the_dispatcher_to_decide() {
    let rig = Rig::new();
    let payload = Json::parse(r#"{"something": "else"}"#.to_owned(), &Limits::default()).unwrap();
    let mut unknown = rig.event(&parcel_sent(1, 1));
    unknown.name = "ParcelWeighed".parse().unwrap();
    let mut newer = rig.event(&parcel_sent(2, 1));
    newer.version = 2;
    let mut ids = Vec::new();
    for mut event in [unknown, newer] {
        event.payload = payload.clone();
        ids.push(event.id);
        rig.commit(vec![OutboxMessage::Event(event)]).await;
    }
    assert_eq!(rig.relay(RelayOptions::default()).relay_batch().await, Ok(2));
    assert_eq!(rig.logged().await, ids);
}

/// An outbox whose rows are of a kind that a later release writes.
struct OfTheFuture(Faulty<InMemory>);

#[async_trait]
impl Outbox for OfTheFuture {
    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        let mut claimed = self.0.claim(limit, lease).await?;
        for row in &mut claimed {
            row.message.kind = "signal".into();
        }
        Ok(claimed)
    }

    async fn mark_published(&self, claims: &[Claim]) -> Result<Marked, OutboxError> {
        self.0.mark_published(claims).await
    }

    async fn release(&self, claims: Vec<(Claim, Release)>) -> Result<Marked, OutboxError> {
        self.0.release(claims).await
    }

    async fn rescue_expired(&self) -> Result<u64, OutboxError> {
        Outbox::rescue_expired(&self.0).await
    }

    async fn wait(&self, idle: Duration) {
        self.0.wait(idle).await;
    }

    async fn stats(&self) -> Result<OutboxStats, OutboxError> {
        self.0.stats().await
    }

    async fn quarantined(&self, limit: u32) -> Result<Vec<QuarantinedRow>, OutboxError> {
        self.0.quarantined(limit).await
    }
}
