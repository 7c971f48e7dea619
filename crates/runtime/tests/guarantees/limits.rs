//! The limits are one table: what is over one of them by one is refused with the same code when it is enqueued, when the
//! relay reads it in a row that somebody else wrote, and when a worker decodes it.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Cause, Json, Limits, TaskEnvelope};
use aftercommit_domain::events::{
    Claim, Claimed, Marked, Outbox, OutboxError, OutboxMessage, OutboxStats, QuarantinedRow, Release,
    create_events_publisher,
};
use aftercommit_domain::failure::Classified as _;
use aftercommit_domain::tasks::{PublishError, QueuePublisher, TaskState};
use aftercommit_domain::unit_of_work::UnitOfWorkFactory as _;
use aftercommit_runtime::relay::RelayOptions;
use aftercommit_testkit::InMemory;
use aftercommit_testkit::faults::Faulty;
use async_trait::async_trait;

use crate::support::contracts::{Deliver, deliver, deliveries, parcel_sent};
use crate::support::handlers::Completes;
use crate::support::rig::Rig;

const LIMITS: Limits = Limits {
    payload_bytes: 256 * 1024,
    envelope_bytes: 1024 * 1024,
    json_depth: 64,
    json_nodes: 50_000,
};

/// A payload that every contract here reads, with something in a field that none of them knows.
fn with(extra: &str) -> String {
    format!(r#"{{"organization_id":"1","project_id":"10","parcel_id":1,"number":1,"extra":{extra}}}"#)
}

/// A payload of this many bytes.
fn of_bytes(bytes: usize) -> String {
    with(&format!("\"{}\"", "x".repeat(bytes - with("\"\"").len())))
}

/// A payload that nests this deep.
fn of_depth(depth: usize) -> String {
    with(&format!("{}{}", "[".repeat(depth - 1), "]".repeat(depth - 1)))
}

/// A payload of this many values: the object, its five fields, and those of the list in the last one.
fn of_nodes(nodes: usize) -> String {
    with(&format!("[{}0]", "0,".repeat(nodes - 6 - 1)))
}

/// What is just within, and what is over by one, with the code.
fn table() -> [(String, String, &'static str); 3] {
    [
        (
            of_bytes(LIMITS.payload_bytes),
            of_bytes(LIMITS.payload_bytes + 1),
            "payload.too_large",
        ),
        (
            of_depth(LIMITS.json_depth),
            of_depth(LIMITS.json_depth + 1),
            "json.too_deep",
        ),
        (
            of_nodes(LIMITS.json_nodes),
            of_nodes(LIMITS.json_nodes + 1),
            "json.too_many_values",
        ),
    ]
}

/// JSON as somebody makes it who keeps no limits.
fn unchecked(text: String) -> Json {
    let none = Limits {
        payload_bytes: usize::MAX,
        envelope_bytes: usize::MAX,
        json_depth: usize::MAX,
        json_nodes: usize::MAX,
    };
    Json::parse(text, &none).unwrap()
}

fn task(rig: &Rig, payload: &str) -> TaskEnvelope {
    let mut task = rig.task(&deliver(1));
    task.payload = unchecked(payload.to_owned());
    task
}

/// An event and a task with this payload.
fn messages(rig: &Rig, payload: &str) -> [OutboxMessage; 2] {
    let mut event = rig.event(&parcel_sent(1, 1));
    event.payload = unchecked(payload.to_owned());
    [OutboxMessage::Event(event), OutboxMessage::Task(task(rig, payload))]
}

/// An event or a task with spaces behind it, which are of the envelope and not of the payload.
fn padded(message: &OutboxMessage, bytes: usize) -> Vec<u8> {
    let mut body = match message {
        OutboxMessage::Event(event) => event.encode(),
        OutboxMessage::Task(task) => task.encode(),
    }
    .into_bytes();
    body.resize(bytes, b' ');
    body
}

#[test]
fn the_defaults_are_those_of_the_table() {
    assert_eq!(Limits::default(), LIMITS);
}

#[tokio::test(start_paused = true)]
async fn what_is_over_a_limit_by_one_is_refused_when_it_is_enqueued() {
    let rig = Rig::new();
    let append = async |message: OutboxMessage| {
        let mut unit_of_work = rig.store.inner().begin(message.tenant(), &Cause::root()).await.unwrap();
        unit_of_work.outbox().append(vec![message]).await.map(|_| ())
    };
    let queue: Arc<dyn QueuePublisher> = Arc::new(rig.store.inner().clone());
    let events = create_events_publisher(Arc::clone(&queue), LIMITS);
    let publish = async |message: OutboxMessage| -> Result<(), PublishError> {
        match message {
            OutboxMessage::Event(event) => events.publish(vec![event]).await.remove(0),
            OutboxMessage::Task(task) => queue.publish(vec![task]).await.remove(0).map(|_| ()),
        }
    };
    for (within, over, code) in table() {
        for message in messages(&rig, &within) {
            append(message.clone()).await.unwrap();
            publish(message).await.unwrap();
        }
        for message in messages(&rig, &over) {
            let what = message.describe();
            assert_eq!(append(message.clone()).await.unwrap_err().code(), code, "{what}");
            assert_eq!(publish(message).await.unwrap_err().code(), code, "{what}");
        }
        let parsed = Json::parse(over, &LIMITS).unwrap_err();
        assert_eq!(parsed.code(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn an_envelope_over_its_limit_by_one_is_refused_when_it_is_enqueued() {
    let rig = Rig::new();
    let mut event = rig.event(&parcel_sent(1, 1));
    // The payload has a limit of its own, so something else makes it large.
    let without = event.encode().len() - event.source.len();
    for (bytes, code) in [
        (LIMITS.envelope_bytes, None),
        (LIMITS.envelope_bytes + 1, Some("envelope.too_large")),
    ] {
        event.source = "x".repeat(bytes - without);
        let raw = OutboxMessage::Event(event.clone()).to_raw(&event.tenant, &LIMITS);
        assert_eq!(raw.err().map(|error| error.code()), code);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_over_a_limit_by_one_is_set_aside_by_the_relay_whoever_wrote_its_row() {
    for (within, over, code) in table() {
        let rig = Rig::new();
        for message in messages(&rig, &within) {
            relay(&rig, message.clone(), padded(&message, len(&message))).await;
        }
        assert_eq!(rig.outbox_stats().await.quarantined, 0, "{code}");
        for message in messages(&rig, &over) {
            let body = padded(&message, len(&message));
            relay(&rig, message, body).await;
        }
        assert_eq!(set_aside(&rig).await, [code, code]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_envelope_over_its_limit_by_one_is_set_aside_by_the_relay_whoever_wrote_its_row() {
    let rig = Rig::new();
    for message in messages(&rig, &with("0")) {
        let body = padded(&message, LIMITS.envelope_bytes);
        relay(&rig, message, body).await;
    }
    assert_eq!(rig.outbox_stats().await.quarantined, 0);
    for message in messages(&rig, &with("0")) {
        let body = padded(&message, LIMITS.envelope_bytes + 1);
        relay(&rig, message, body).await;
    }
    assert_eq!(set_aside(&rig).await, ["envelope.too_large", "envelope.too_large"]);
}

#[tokio::test(start_paused = true)]
async fn a_payload_with_nul_in_somebody_elses_row_is_set_aside_by_the_relay() {
    let rig = Rig::new();
    for message in messages(&rig, &with("\"-\"")) {
        let body = String::from_utf8(padded(&message, len(&message))).unwrap();
        relay(&rig, message, body.replace("\"-\"", "\"\\u0000\"").into_bytes()).await;
    }
    assert_eq!(set_aside(&rig).await, ["payload.nul", "payload.nul"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_over_a_limit_by_one_is_dead_when_a_worker_decodes_it() {
    let rig = Rig::new();
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    let publish = async |body: Vec<u8>, state: TaskState| {
        let topic = <Deliver as aftercommit_domain::tasks::Task>::TOPIC;
        let id = rig.store.inner().publish_raw(&topic, &body);
        rig.until_state(id, state).await;
        id
    };
    for (within, over, code) in table() {
        publish(task(&rig, &within).encode().into_bytes(), TaskState::Completed).await;
        let dead = publish(task(&rig, &over).encode().into_bytes(), TaskState::Dead).await;
        assert_eq!(rig.dead_letter(dead).await.failure.code, code);
    }
    let small = || OutboxMessage::Task(task(&rig, &with("0")));
    publish(padded(&small(), LIMITS.envelope_bytes), TaskState::Completed).await;
    let dead = publish(padded(&small(), LIMITS.envelope_bytes + 1), TaskState::Dead).await;
    assert_eq!(rig.dead_letter(dead).await.failure.code, "envelope.too_large");
    engine.stop().await;
}

fn len(message: &OutboxMessage) -> usize {
    match message {
        OutboxMessage::Event(event) => event.encode().len(),
        OutboxMessage::Task(task) => task.encode().len(),
    }
}

/// Relays one row that holds `body`, in the place of a small message of the same kind.
async fn relay(rig: &Rig, message: OutboxMessage, body: Vec<u8>) {
    let small = match message {
        OutboxMessage::Event(_) => OutboxMessage::Event(rig.event(&parcel_sent(1, 1))),
        OutboxMessage::Task(_) => OutboxMessage::Task(rig.task(&deliver(1))),
    };
    rig.commit(vec![small]).await;
    let outbox = WrittenElsewhere(rig.store.clone(), body);
    let relay = rig.relay_over(Arc::new(outbox), RelayOptions::default());
    assert_eq!(relay.relay_batch().await, Ok(1));
}

/// The codes of the rows that are set aside, oldest first.
async fn set_aside(rig: &Rig) -> Vec<String> {
    let rows = rig.store.quarantined(10).await.unwrap();
    let code = |row: &QuarantinedRow| row.reason.split(':').next().unwrap_or_default().to_owned();
    rows.iter().rev().map(code).collect()
}

/// An outbox whose rows somebody wrote who keeps no limits.
struct WrittenElsewhere(Faulty<InMemory>, Vec<u8>);

#[async_trait]
impl Outbox for WrittenElsewhere {
    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        let mut claimed = self.0.claim(limit, lease).await?;
        for row in &mut claimed {
            row.message.body.clone_from(&self.1);
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
