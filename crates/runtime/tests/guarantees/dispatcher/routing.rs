//! What becomes of an event when nothing goes wrong.

use std::time::Duration;

use aftercommit_domain::contract::{Sealed, TaskEnvelope};
use aftercommit_domain::tasks::{TaskState, completed};
use aftercommit_runtime::worker::Topic;
use aftercommit_runtime::{EngineOptions, Roles};
use aftercommit_testkit::faults::{Fault, Operation};

use super::dispatch_id;
use crate::support::contracts::{Announce, Deliver, ParcelSeen, PinIssued, SendPin, parcel_sent};
use crate::support::handlers::{Completes, Handler, Seen};
use crate::support::rig::{Rig, dispatcher};

#[tokio::test(start_paused = true)]
async fn an_event_becomes_the_tasks_of_its_route_and_they_tell_what_caused_them() {
    let rig = Rig::new();
    let engine = rig.start_with_events(dispatcher(), Vec::new());
    let event = rig.publish_event(rig.event(&parcel_sent(1, 1))).await;
    rig.until_state(event, TaskState::Completed).await;
    for target in ["deliveries/deliver", "letters/announce"] {
        let task = rig.details(dispatch_id(event, target)).await;
        assert_eq!(task.summary.state, TaskState::Available);
        assert_eq!(task.causation_id, Some(event));
        assert_eq!(task.correlation_id, Some(event.to_string()));
    }
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_redelivered_event_yields_the_same_dispatch_ids() {
    let rig = Rig::new();
    let published = Seen::nothing();
    rig.store.refuse({
        let published = published.clone();
        move |task| {
            published.add(task.id);
            None
        }
    });
    let engine = rig.start_with_events(dispatcher(), Vec::new());
    let event = rig.event(&parcel_sent(1, 1));
    for runs in 1..=2 {
        let id = rig.publish_event(event.clone()).await;
        rig.until("it was dispatched once more", async || published.count() == 2 * runs)
            .await;
        rig.until_state(id, TaskState::Completed).await;
    }
    let ids = published.all();
    assert_eq!(ids[..2], ids[2..]);
    assert_ne!(ids[0], ids[1]);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_leads_to_nothing_completes() {
    let rig = Rig::new();
    let engine = rig.start_with_events(dispatcher(), Vec::new());
    let seen = ParcelSeen {
        organization_id: 1.into(),
        project_id: 10.into(),
        parcel_id: 1,
    };
    let id = rig.publish_event(rig.event(&seen)).await;
    rig.until_state(id, TaskState::Completed).await;
    assert_eq!(rig.store.calls(Operation::Publish), 0);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_without_an_outbox_row_is_logged_and_one_with_a_row_is_not_logged_twice() {
    let rig = Rig::new();
    let options = EngineOptions {
        roles: Roles::default(),
        ..dispatcher()
    };
    let engine = rig.start_with_events(options, Vec::new());
    let direct = rig.publish_event(rig.event(&parcel_sent(1, 1))).await;
    rig.until_state(direct, TaskState::Completed).await;
    assert_eq!(
        (rig.logged().await, rig.store.calls(Operation::Record)),
        (vec![direct], 1)
    );
    let committed = rig.commit_event(&parcel_sent(2, 1)).await;
    rig.until_state(committed, TaskState::Completed).await;
    assert_eq!(
        (rig.logged().await, rig.store.calls(Operation::Record)),
        (vec![direct, committed], 1)
    );
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sealed_value_is_opened_for_the_route_and_sealed_anew_for_each_dispatch() {
    let rig = Rig::new();
    let (bodies, pins) = (Seen::nothing(), Seen::nothing());
    rig.store.refuse({
        let bodies = bodies.clone();
        move |task: &TaskEnvelope| {
            bodies.add(task.encode());
            None
        }
    });
    let send_pin = {
        let pins = pins.clone();
        Handler(move |task: SendPin, _| {
            pins.add(task.pin.expose().clone());
            async { completed() }
        })
    };
    let letters = Topic::named("letters")
        .handle::<SendPin>(send_pin)
        .handle::<Announce>(Completes);
    let options = EngineOptions {
        roles: Roles::default(),
        ..dispatcher()
    };
    let engine = rig.start_with_events(options, vec![letters]);
    let issued = PinIssued {
        organization_id: 1.into(),
        project_id: 10.into(),
        parcel_id: 1,
        pin: Sealed::new("four-secret-digits".into()),
    };
    rig.commit_event(&issued).await;
    rig.until("the handler has the secret in clear", async || {
        pins.all() == ["four-secret-digits"]
    })
    .await;
    let bodies = bodies.all();
    assert_eq!(bodies.len(), 2, "the event and its one dispatch");
    assert!(bodies.iter().all(|body| !body.contains("secret")), "{bodies:?}");
    let sealed = |body: &str| body.split("\"pin\"").nth(1).map(str::to_owned);
    assert_ne!(sealed(&bodies[0]), sealed(&bodies[1]));
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn events_of_one_aggregate_keep_their_order_through_relay_dispatcher_and_worker() {
    let rig = Rig::new();
    let delivered: Seen<(i64, u32)> = Seen::nothing();
    let deliver = {
        let delivered = delivered.clone();
        Handler(move |task: Deliver, _| {
            delivered.add((task.parcel_id, task.number));
            async { completed() }
        })
    };
    let options = EngineOptions {
        roles: Roles::default(),
        ..dispatcher()
    };
    for number in 1..=20 {
        for parcel in 1..=3 {
            rig.commit_event(&parcel_sent(parcel, number)).await;
        }
    }
    // Some publishes fail, some hang, some lose their reply: of the relay's as well as of the dispatcher's.
    let fault = [
        Fault::Pass,
        Fault::Fail,
        Fault::Pass,
        Fault::LoseReply,
        Fault::Hang,
        Fault::Pass,
        Fault::Pass,
    ];
    rig.store.script(Operation::Publish, fault.into_iter().cycle().take(70));
    let deliveries = Topic::named("deliveries").handle::<Deliver>(deliver);
    let engine = rig.start_with_events(options, vec![deliveries]);
    rig.until("everything is delivered", async || delivered.count() >= 60)
        .await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    for parcel in 1..=3 {
        let mut numbers: Vec<u32> = delivered
            .all()
            .into_iter()
            .filter(|(of, _)| *of == parcel)
            .map(|(_, n)| n)
            .collect();
        assert!(numbers.is_sorted(), "parcel {parcel}: {numbers:?}");
        numbers.dedup();
        assert_eq!(numbers, (1..=20).collect::<Vec<_>>(), "parcel {parcel}");
    }
    engine.stop().await;
}
