//! Dispatches that cannot be published, for now or for ever.

use std::collections::HashMap;
use std::time::Duration;

use aftercommit_domain::tasks::{DeadLetters, PublishError, TaskState, completed};
use aftercommit_runtime::worker::Topic;
use aftercommit_testkit::faults::{Fault, Operation};

use super::dispatch_id;
use crate::support::contracts::{Deliver, ParcelFound, parcel_sent};
use crate::support::handlers::{Handler, Seen};
use crate::support::log::CapturedLog;
use crate::support::rig::{Rig, dispatcher};

/// Refuses what goes to `letters` with this error, and notes which topic each publish was for.
fn refuse_letters(rig: &Rig, error: PublishError) -> Seen<String> {
    let seen = Seen::nothing();
    rig.store.refuse({
        let seen = seen.clone();
        move |task| {
            seen.add(task.topic.to_string());
            (task.topic.as_str() == "letters").then(|| error.clone())
        }
    });
    seen
}

fn count(topics: &Seen<String>) -> HashMap<String, usize> {
    topics.all().into_iter().fold(HashMap::new(), |mut counts, topic| {
        *counts.entry(topic).or_default() += 1;
        counts
    })
}

fn unavailable() -> PublishError {
    PublishError::Unavailable {
        reason: "connection refused".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn one_failing_dispatch_does_not_stop_the_others_and_alone_is_tried_again() {
    let rig = Rig::new();
    let published = refuse_letters(&rig, unavailable());
    let engine = rig.start_with_events(dispatcher(), Vec::new());
    let event = rig.publish_event(rig.event(&parcel_sent(1, 1))).await;
    rig.until_state(dispatch_id(event, "deliveries/deliver"), TaskState::Available)
        .await;
    rig.until("the other was tried again", async || published.count() > 3)
        .await;
    rig.store.refuse_none();
    rig.until_state(dispatch_id(event, "letters/announce"), TaskState::Available)
        .await;
    rig.until_state(event, TaskState::Completed).await;
    assert_eq!(count(&published)["deliveries"], 1);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_dispatched_does_not_run_again_while_another_dispatch_of_its_event_is_retried_for_hours() {
    let rig = Rig::new();
    let full = PublishError::Refused {
        reason: "the queue is full".into(),
    };
    let published = refuse_letters(&rig, full);
    let runs = Seen::nothing();
    let deliver = {
        let runs = runs.clone();
        Handler(move |task: Deliver, _| {
            runs.add(task.parcel_id);
            async { completed() }
        })
    };
    let deliveries = Topic::named("deliveries").handle::<Deliver>(deliver);
    let engine = rig.start_with_events(dispatcher(), vec![deliveries]);
    let event = rig.publish_event(rig.event(&parcel_sent(1, 1))).await;
    tokio::time::sleep(Duration::from_hours(5)).await;
    assert!(
        count(&published)["letters"] > 100,
        "it keeps trying: {:?}",
        count(&published)
    );
    assert_eq!((count(&published)["deliveries"], runs.count()), (1, 1));
    let attempts = rig.details(event).await.summary.attempts;
    assert!(
        attempts <= 1,
        "a full queue is no fault of the event: {attempts} attempts"
    );
    rig.store.refuse_none();
    rig.until_state(event, TaskState::Completed).await;
    assert_eq!(runs.count(), 1);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_dispatch_that_can_never_be_published_becomes_a_dead_letter_alone() {
    let rig = Rig::new();
    let invalid = PublishError::Invalid {
        code: "envelope.too_large",
        reason: "too large".into(),
    };
    refuse_letters(&rig, invalid);
    let engine = rig.start_with_events(dispatcher(), Vec::new());
    let event = rig.publish_event(rig.event(&parcel_sent(1, 1))).await;
    rig.until_state(event, TaskState::Completed).await;
    assert_eq!(
        rig.state(dispatch_id(event, "deliveries/deliver")).await,
        TaskState::Available
    );
    let letter = rig.dead_letter(dispatch_id(event, "letters/announce")).await;
    assert_eq!(
        (letter.failure.code.as_ref(), letter.attempts),
        ("envelope.too_large", 1)
    );
    assert_eq!(letter.task.unwrap().cause.causation, Some(event));
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_dispatch_of_best_effort_that_fails_neither_delays_nor_fails_the_rest_and_is_told_of() {
    let log = CapturedLog::start();
    let invalid = PublishError::Invalid {
        code: "envelope.too_large",
        reason: "too large".into(),
    };
    for error in [unavailable(), invalid] {
        let rig = Rig::new();
        let published = refuse_letters(&rig, error);
        let engine = rig.start_with_events(dispatcher(), Vec::new());
        let found = ParcelFound {
            organization_id: 1.into(),
            project_id: 10.into(),
            parcel_id: 1,
        };
        let before = rig.now();
        let event = rig.publish_event(rig.event(&found)).await;
        rig.until_state(event, TaskState::Completed).await;
        assert!(rig.now() - before < chrono::Duration::seconds(1), "at the first try");
        assert_eq!(count(&published)["letters"], 1);
        let delivery = dispatch_id(event, "deliveries/deliver");
        assert_eq!(rig.state(delivery).await, TaskState::Available);
        let dropped = dispatch_id(event, "letters/announce");
        assert!(DeadLetters::find(rig.store.inner(), dropped).await.unwrap().is_none());
        let lines = log.lines_with("a dispatch of best effort was dropped");
        assert!(
            lines.iter().any(|line| line.contains(&dropped.to_string())),
            "{lines:?}"
        );
        engine.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dispatch_of_best_effort_that_is_published_is_a_task_like_any_other() {
    let rig = Rig::new();
    let engine = rig.start_with_events(dispatcher(), Vec::new());
    let found = ParcelFound {
        organization_id: 1.into(),
        project_id: 10.into(),
        parcel_id: 1,
    };
    let event = rig.publish_event(rig.event(&found)).await;
    rig.until_state(event, TaskState::Completed).await;
    for target in ["deliveries/deliver", "letters/announce"] {
        assert_eq!(
            rig.state(dispatch_id(event, target)).await,
            TaskState::Available,
            "{target}"
        );
    }
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_dispatch_that_cannot_even_be_buried_is_tried_again_alone() {
    let rig = Rig::new();
    let published = Seen::nothing();
    rig.store.refuse({
        let published = published.clone();
        move |task| {
            published.add(task.topic.to_string());
            (task.topic.as_str() == "deliveries").then(|| PublishError::Invalid {
                code: "envelope.too_large",
                reason: "too large".into(),
            })
        }
    });
    rig.store.script(Operation::Bury, [Fault::Fail, Fault::LoseReply]);
    let engine = rig.start_with_events(dispatcher(), Vec::new());
    let event = rig.publish_event(rig.event(&parcel_sent(1, 1))).await;
    rig.until_state(event, TaskState::Completed).await;
    assert_eq!(rig.store.calls(Operation::Bury), 3);
    rig.dead_letter(dispatch_id(event, "deliveries/deliver")).await;
    assert_eq!((count(&published)["deliveries"], count(&published)["letters"]), (3, 1));
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_hangs_is_an_outage_and_no_fault_of_the_event() {
    let rig = Rig::new();
    rig.store.always(Operation::Publish, Fault::Hang);
    let engine = rig.start_with_events(dispatcher(), Vec::new());
    let event = rig.publish_event(rig.event(&parcel_sent(1, 1))).await;
    tokio::time::sleep(Duration::from_hours(24)).await;
    assert!(rig.store.calls(Operation::Publish) > 100);
    let details = rig.details(event).await;
    assert_ne!(details.summary.state, TaskState::Dead);
    assert!(details.summary.attempts <= 1, "{:?}", details.summary);
    rig.store.always(Operation::Publish, Fault::Pass);
    rig.until_state(event, TaskState::Completed).await;
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_log_that_is_away_delays_a_direct_event_and_costs_it_no_attempt() {
    let rig = Rig::new();
    rig.store.script(Operation::Record, [Fault::Fail, Fault::LoseReply]);
    let engine = rig.start_with_events(dispatcher(), Vec::new());
    let event = rig.publish_event(rig.event(&parcel_sent(1, 1))).await;
    rig.until_state(event, TaskState::Completed).await;
    assert_eq!(rig.details(event).await.summary.attempts, 1);
    assert_eq!(rig.logged().await, [event], "logged once");
    engine.stop().await;
}
