//! Bytes that are no task a handler here runs, and tasks whose time is over.

use std::time::Duration;

use aftercommit_domain::contract::{Json, Limits, TopicName};
use aftercommit_domain::tasks::{TaskState, completed};
use aftercommit_domain::time::after;
use aftercommit_runtime::worker::Topic;

use crate::support::contracts::{Announce, Deliver, announce, deliver, deliveries};
use crate::support::handlers::{Completes, Handler, Seen};
use crate::support::log::CapturedLog;
use crate::support::rig::Rig;

const DELIVERIES: TopicName = TopicName::constant("deliveries");

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_task_are_dead_at_once_with_their_bytes_and_harm_no_neighbour() {
    let rig = Rig::new();
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    let good = rig.enqueue(&deliver(1)).await;
    for (body, code) in [
        (&b"\xff\xfe"[..], "envelope.encoding"),
        (b"{}", "envelope.malformed"),
        (b"not json", "envelope.malformed"),
        (b"", "envelope.empty"),
    ] {
        let id = rig.store.inner().publish_raw(&DELIVERIES, body);
        rig.until_state(id, TaskState::Dead).await;
        let letter = rig.dead_letter(id).await;
        assert_eq!((letter.failure.code.as_ref(), letter.attempts), (code, 1));
        assert_eq!((letter.body.as_slice(), letter.task), (body, None));
    }
    rig.until_state(good, TaskState::Completed).await;
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_of_another_topic_does_not_run_here_even_under_a_name_that_is_known() {
    let rig = Rig::new();
    let runs = Seen::nothing();
    let noted = runs.clone();
    let handler = Handler(move |task: Deliver, _| {
        noted.add(task.parcel_id);
        async { completed() }
    });
    let engine = rig.start_workers(vec![deliveries(handler)]);
    let mut task = rig.task(&deliver(1));
    task.topic = TopicName::constant("returns");
    let id = rig.store.inner().publish_raw(&DELIVERIES, task.encode().as_bytes());
    rig.until_state(id, TaskState::Dead).await;
    let failure = rig.dead_letter(id).await.failure;
    assert_eq!(
        (failure.code.as_ref(), failure.message.as_str()),
        (
            "handler.unknown",
            "nothing here knows task returns/deliver on topic deliveries"
        )
    );
    assert_eq!(runs.count(), 0);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_is_not_its_contracts_is_dead_and_told_once_with_the_task_it_is_of() {
    let log = CapturedLog::start();
    let rig = Rig::new();
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    let mut task = rig.task(&deliver(1));
    task.payload = Json::parse(r#"{"organization_id":"1"}"#, &Limits::default()).unwrap();
    let id = rig.enqueue_envelope(task).await;
    rig.until_state(id, TaskState::Dead).await;
    assert_eq!(rig.dead_letter(id).await.failure.code, "payload.malformed");
    let lines = log.lines_with("ERROR");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for words in [
        &format!("task_id={id}"),
        "task is dead",
        "code=payload.malformed",
        "organization_id=\"1\"",
    ] {
        assert!(lines[0].contains(words), "{words} in {}", lines[0]);
    }
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_deadline_has_passed_is_skipped_without_being_run() {
    let rig = Rig::new();
    let runs = Seen::nothing();
    let noted = runs.clone();
    let handler = Handler(move |task: Announce, _| {
        noted.add(task.parcel_id);
        async { completed() }
    });
    let mut late = rig.task(&announce(1));
    late.deadline = Some(after(rig.now(), Duration::from_secs(10)));
    let mut timely = rig.task(&announce(2));
    timely.deadline = Some(after(rig.now(), Duration::from_mins(1)));
    let (late, timely) = (rig.enqueue_envelope(late).await, rig.enqueue_envelope(timely).await);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let letters = Topic::named("letters").handle::<Announce>(handler);
    let engine = rig.start_workers(vec![letters]);
    rig.until_state(late, TaskState::Skipped).await;
    rig.until_state(timely, TaskState::Completed).await;
    assert_eq!(runs.all(), [2]);
    let reason = rig.details(late).await.summary.reason;
    assert_eq!(reason.as_deref(), Some("its deadline had passed before it started"));
    engine.stop().await;
}
