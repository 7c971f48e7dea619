//! Bulk runs: at a rate, once for each, until most fail again, by whoever drives them.

use std::time::Duration;

use aftercommit_domain::bulk::{BulkRequest, BulkRun, BulkState, WaitsFor};
use aftercommit_domain::events::{EventFilter, EventLog, EventSelection};
use aftercommit_domain::failure::{Classified as _, ErrorClass, Failure};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    DeadLetter, DeadLetterFilter, DeadLetterOperations, DeadLetters, PublishError, Stop, TaskFilter, TaskInspector,
};
use aftercommit_runtime::bulk::BulkRunner;
use aftercommit_testkit::faults::{Fault, Operation};
use tokio::time::{Instant, sleep};

use crate::support::contracts::{Deliver, ParcelSeen, announce, deliver, deliveries, parcel_sent, routes};
use crate::support::handlers::{Completes, Handler};
use crate::support::rig::Rig;

/// Letters of tasks that nobody has run.
async fn letters(rig: &Rig, number: usize) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for _ in 0..number {
        let task = rig.task(&deliver(i64::try_from(ids.len()).unwrap()));
        ids.push(task.id);
        let failure = Failure::new("test.failed", ErrorClass::Permanent, "no");
        let (topic, body) = (task.topic.clone(), task.encode().into_bytes());
        let letter = DeadLetter::new(task.id, topic, Some(task), body, 1, failure, rig.clock.now());
        rig.store.inner().add(letter).await.unwrap();
    }
    ids
}

fn replay_all() -> BulkRequest {
    BulkRequest::ReplayDeadLetters {
        filter: DeadLetterFilter::default(),
    }
}

async fn begin(runner: &BulkRunner, request: BulkRequest, rate: &str) -> BulkRun {
    let begun = runner.begin(None, request, "ada".into(), rate.parse().unwrap()).await;
    begun.unwrap().run
}

/// Drives a run to its end.
async fn drive(runner: &BulkRunner, id: MessageId) -> BulkRun {
    loop {
        let step = runner.step(id).await.unwrap().unwrap();
        if step.run.state != BulkState::Going {
            return step.run;
        }
        sleep(step.wait.max(Duration::from_millis(1))).await;
    }
}

async fn left(rig: &Rig) -> u64 {
    rig.store.inner().count(&DeadLetterFilter::default()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_replay_stops_by_itself_when_half_of_the_last_twenty_that_ran_failed_again() {
    let rig = Rig::new();
    letters(&rig, 200).await;
    let runner = rig.bulk_runner();
    let failing = Handler(async |_: Deliver, _| {
        Err(Stop::Failed {
            failure: Failure::new("test.again", ErrorClass::Permanent, "still no"),
            retry_after: None,
        })
    });
    let engine = rig.start_workers(vec![deliveries(failing)]);
    let run = begin(&runner, replay_all(), "10/s").await;
    let over = drive(&runner, run.id).await;
    assert_eq!(over.state, BulkState::Stopped);
    assert_eq!(over.reason.as_deref(), Some("20 of the last 20 that ran failed again"));
    assert!(
        (20..=25).contains(&over.done),
        "{} were replayed before it stopped",
        over.done
    );
    assert_eq!(left(&rig).await, 200, "what failed again is a dead letter again");
    engine.stop().await;
    // Whoever put things right begins another one, with those that died again.
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    let again = begin(&runner, replay_all(), "1000/s").await;
    assert_ne!(again.id, run.id);
    let over = drive(&runner, again.id).await;
    assert_eq!((over.state, over.done, left(&rig).await), (BulkState::Done, 200, 0));
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_replay_waits_while_five_hundred_have_not_run_and_goes_on_when_somebody_runs_them() {
    let rig = Rig::new();
    letters(&rig, 600).await;
    let runner = rig.bulk_runner();
    let run = begin(&runner, replay_all(), "10000/s").await;
    let waiting = loop {
        let step = runner.step(run.id).await.unwrap().unwrap();
        if step.waits_for == Some(WaitsFor::Workers) {
            break step.run;
        }
        sleep(step.wait.max(Duration::from_millis(1))).await;
    };
    assert_eq!((waiting.done, waiting.matched), (500, Some(600)));
    let engine = rig.start_workers(vec![deliveries(Completes)]);
    let over = drive(&runner, run.id).await;
    assert_eq!((over.state, over.done), (BulkState::Done, 600));
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_who_order_and_drive_the_same_replay_keep_its_rate_and_replay_each_letter_once() {
    let rig = Rig::new();
    let ids = letters(&rig, 50).await;
    let (one, other) = (rig.bulk_runner(), rig.bulk_runner());
    let started = Instant::now();
    let (a, b) = (
        begin(&one, replay_all(), "10/s").await,
        begin(&other, replay_all(), "10/s").await,
    );
    assert_eq!(a.id, b.id, "the second goes on with it");
    let (a, b) = futures::join!(drive(&one, a.id), drive(&other, b.id));
    assert_eq!((a.done, b.done), (50, 50));
    let took = started.elapsed();
    assert!((4800..6000).contains(&took.as_millis()), "50 at 10/s took {took:?}");
    let actions = rig.store.inner().actions(None, Some(1000)).await.unwrap();
    let mut replayed: Vec<MessageId> = actions.iter().map(|action| action.letter).collect();
    replayed.reverse();
    assert_eq!(replayed, ids, "each once, the oldest first");
}

#[tokio::test(start_paused = true)]
async fn a_replay_whose_driver_is_gone_goes_on_where_it_was() {
    let rig = Rig::new();
    letters(&rig, 30).await;
    let runner = rig.bulk_runner();
    let run = begin(&runner, replay_all(), "10/s").await;
    let given_up = tokio::time::timeout(Duration::from_secs(1), drive(&runner, run.id)).await;
    assert!(given_up.is_err());
    let late = letters(&rig, 1).await;
    drop(runner);
    let runner = rig.bulk_runner();
    let again = runner
        .begin(None, replay_all(), "bob".into(), "10/s".parse().unwrap())
        .await
        .unwrap();
    assert_eq!((again.goes_on, again.run.id), (true, run.id));
    assert!(again.run.done > 0 && again.run.done < 30);
    let over = drive(&runner, run.id).await;
    assert_eq!((over.state, over.done), (BulkState::Done, 30));
    let letters = rig.store.inner();
    let left = DeadLetters::list(letters, &DeadLetterFilter::default()).await.unwrap();
    let left: Vec<MessageId> = left.iter().map(|letter| letter.id).collect();
    assert_eq!(left, late, "what died after it began is no part of it");
}

#[tokio::test(start_paused = true)]
async fn a_bulk_discard_removes_what_fits_and_runs_nothing() {
    let rig = Rig::new();
    letters(&rig, 250).await;
    let runner = rig.bulk_runner();
    let filter = DeadLetterFilter {
        code: Some("test.failed".into()),
        ..DeadLetterFilter::default()
    };
    let run = begin(&runner, BulkRequest::DiscardDeadLetters { filter }, "1000/s").await;
    let over = drive(&runner, run.id).await;
    assert_eq!((over.state, over.done, left(&rig).await), (BulkState::Done, 250, 0));
    assert!(tasks(&rig).await.is_empty());
}

/// The waiting tasks, in the order they were published.
async fn tasks(rig: &Rig) -> Vec<MessageId> {
    let filter = TaskFilter {
        limit: Some(1000),
        ..TaskFilter::default()
    };
    let listed = TaskInspector::list(rig.store.inner(), &filter).await.unwrap();
    listed.iter().rev().map(|task| task.id).collect()
}

fn of_parcels(route: Option<&str>) -> EventSelection {
    EventSelection {
        filter: EventFilter {
            name: Some("ParcelSent".parse().unwrap()),
            ..EventFilter::default()
        },
        route: route.map(|route| route.parse().unwrap()),
        ..EventSelection::default()
    }
}

fn replay_events(selection: EventSelection) -> BulkRequest {
    BulkRequest::ReplayEvents { selection }
}

/// Logs `number` events and one of another name between them.
async fn logged(rig: &Rig, number: i64) -> Vec<aftercommit_domain::contract::EventEnvelope> {
    let mut events = Vec::new();
    for parcel_id in 0..number {
        events.push(rig.event(&parcel_sent(parcel_id, 1)));
        sleep(Duration::from_millis(1)).await;
    }
    let other = rig.event(&ParcelSeen {
        organization_id: 1.into(),
        project_id: 10.into(),
        parcel_id: 1,
    });
    let log = rig.store.inner();
    EventLog::record(log, &events[..1]).await.unwrap();
    EventLog::record(log, &[other]).await.unwrap();
    for event in &events[1..] {
        sleep(Duration::from_millis(1)).await;
        EventLog::record(log, std::slice::from_ref(event)).await.unwrap();
    }
    sleep(Duration::from_millis(1)).await;
    events
}

#[tokio::test(start_paused = true)]
async fn replayed_events_lead_to_new_tasks_in_their_order_and_to_the_same_ones_under_the_same_replay_id() {
    let rig = Rig::new();
    let events = logged(&rig, 5).await;
    let runner = rig.bulk_runner();
    let request = replay_events(of_parcels(Some("deliveries/deliver")));
    let run = begin(&runner, request.clone(), "2/s").await;
    let over = drive(&runner, run.id).await;
    assert_eq!(
        (over.state, over.done, over.tasks, over.failed),
        (BulkState::Done, 5, 5, 0)
    );
    let codec = rig.envelopes.codec();
    let first_of = |replay: Option<MessageId>| -> Vec<MessageId> {
        let dispatches = events.iter().map(|event| match replay {
            Some(id) => routes().replay(event, codec, id).unwrap(),
            None => routes().dispatch(event, codec).unwrap(),
        });
        dispatches.map(|dispatches| dispatches[0].0).collect()
    };
    let published = tasks(&rig).await;
    assert_eq!(published, first_of(Some(run.id)), "one route only, the oldest first");
    assert!(published.iter().all(|id| !first_of(None).contains(id)), "new tasks");
    // The same replay again publishes nothing; another one, other tasks.
    let calls = rig.store.calls(Operation::Publish);
    let again = runner
        .begin(Some(run.id), request.clone(), "bob".into(), "2/s".parse().unwrap())
        .await
        .unwrap();
    assert!(again.goes_on);
    let same = drive(&runner, run.id).await;
    assert_eq!((same.done, same.tasks), (over.done, over.tasks));
    assert_eq!(rig.store.calls(Operation::Publish), calls);
    let other = begin(&runner, request, "50/s").await;
    drive(&runner, other.id).await;
    assert_eq!(tasks(&rig).await.len(), 10);
    let refused = runner
        .begin(Some(run.id), replay_events(of_parcels(None)), "bob".into(), run.rate)
        .await;
    assert_eq!(refused.unwrap_err().code(), "bulk_run.other_request");
}

#[tokio::test(start_paused = true)]
async fn a_replay_of_events_goes_on_where_it_was_when_the_queue_was_away() {
    let rig = Rig::new();
    logged(&rig, 6).await;
    let runner = rig.bulk_runner();
    let run = begin(&runner, replay_events(of_parcels(None)), "1/s").await;
    // It happened, and nobody heard: what follows is published again under the same ids.
    rig.store
        .script(Operation::Publish, [Fault::Pass, Fault::Fail, Fault::LoseReply]);
    let mut failures = 0;
    loop {
        match runner.step(run.id).await {
            Err(error) => {
                assert_eq!(error.class(), ErrorClass::Outage);
                failures += 1;
            }
            Ok(step) if step.as_ref().unwrap().run.state == BulkState::Done => break,
            Ok(step) => sleep(step.unwrap().wait).await,
        }
    }
    assert_eq!(failures, 2);
    assert_eq!(tasks(&rig).await.len(), 12, "two of each event, none twice");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_replayed_is_counted_with_its_reason_and_keeps_no_other_back() {
    let rig = Rig::new();
    let events = logged(&rig, 3).await;
    let runner = rig.bulk_runner();
    rig.store.refuse(|task| {
        (task.task.as_str() == "announce").then(|| PublishError::Invalid {
            code: "test.refused",
            reason: "never".into(),
        })
    });
    let unknown = rig.task(&announce(1)).id;
    let selection = EventSelection {
        ids: vec![events[2].id, unknown, events[0].id],
        ..EventSelection::default()
    };
    let run = begin(&runner, replay_events(selection), "100/s").await;
    let over = drive(&runner, run.id).await;
    assert_eq!((over.done, over.tasks, over.failed), (2, 2, 3));
    assert!(
        over.problems
            .contains(&format!("no published event has the id {unknown}")),
        "{:?}",
        over.problems
    );
    assert!(
        over.problems.iter().any(|problem| problem.contains("letters/announce")),
        "{:?}",
        over.problems
    );
}

#[tokio::test(start_paused = true)]
async fn a_route_that_does_not_exist_is_refused_and_a_preview_publishes_nothing() {
    let rig = Rig::new();
    logged(&rig, 3).await;
    let runner = rig.bulk_runner();
    let mut gone = of_parcels(None);
    gone.filter.name = Some("ParcelLost".parse().unwrap());
    let mut nowhere = of_parcels(Some("letters/burn"));
    nowhere.filter.name = None;
    let table = [
        (
            gone,
            "no route here knows the event ParcelLost; a newer or an older build may",
        ),
        (
            of_parcels(Some("letters/burn")),
            "ParcelSent does not lead to letters/burn; it leads to deliveries/deliver, letters/announce",
        ),
        (nowhere, "no event leads to letters/burn"),
    ];
    for (selection, expected) in table {
        for error in [
            runner.preview(&selection).await.unwrap_err(),
            runner
                .begin(None, replay_events(selection), "ada".into(), "1/s".parse().unwrap())
                .await
                .unwrap_err(),
        ] {
            assert_eq!((error.code(), error.to_string().as_str()), ("route.unknown", expected));
        }
    }
    let preview = runner.preview(&of_parcels(None)).await.unwrap();
    assert_eq!((preview.events, preview.more, preview.failed), (3, false, 0));
    let tasks_of: Vec<(&str, u64)> = preview
        .tasks
        .iter()
        .map(|(task, number)| (task.as_str(), *number))
        .collect();
    assert_eq!(tasks_of, [("deliveries/deliver", 3), ("letters/announce", 3)]);
    assert!(tasks(&rig).await.is_empty());
}
