//! Events that are dead at once, and those that wait for a build that knows them.

use aftercommit_domain::contract::{EventEnvelope, EventName, Json, Limits, OrganizationId, ProjectId, Tenant};
use aftercommit_domain::events::{EventCatalogue, Routes, dispatch_envelope, publish};
use aftercommit_domain::tasks::{Task, TaskState};
use aftercommit_runtime::{Engine, RunningEngine};
use serde::{Deserialize, Serialize};

use super::dispatch_id;
use crate::support::contracts::{Announce, ParcelSent, announce, parcel_sent};
use crate::support::rig::{Rig, dispatcher};

/// Publishes `event` and answers the code of its dead letter.
async fn dead_code(rig: &Rig, event: EventEnvelope) -> String {
    let engine = rig.start_with_events(dispatcher(), Vec::new());
    let id = rig.publish_event(event).await;
    rig.until_state(id, TaskState::Dead).await;
    engine.stop().await;
    let letter = rig.dead_letter(id).await;
    assert!(letter.task.is_some());
    assert_eq!(letter.attempts, 1, "waiting is no attempt");
    letter.failure.code.into_owned()
}

fn json(text: &str) -> Json {
    Json::parse(text, &Limits::default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_event_that_nothing_here_knows_is_dead_as_handler_unknown_after_a_deploys_time() {
    let rig = Rig::new();
    let mut event = rig.event(&parcel_sent(1, 1));
    event.name = EventName::constant("ParcelVanished");
    let begun = rig.clock.now();
    assert_eq!(dead_code(&rig, event).await, "handler.unknown");
    let took = (rig.clock.now() - begun).num_seconds();
    assert!((300..302).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn an_event_with_a_payload_that_is_not_its_contracts_is_dead() {
    let rig = Rig::new();
    let mut event = rig.event(&parcel_sent(1, 1));
    event.payload = json(r#"{"organization_id": "1", "project_id": "10", "parcel_id": "one"}"#);
    assert_eq!(dead_code(&rig, event).await, "payload.malformed");
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_newer_version_is_dead_as_version_unsupported_after_a_deploys_time() {
    let rig = Rig::new();
    let mut event = rig.event(&parcel_sent(1, 1));
    event.version = 2;
    let begun = rig.clock.now();
    assert_eq!(dead_code(&rig, event).await, "version.unsupported");
    let took = (rig.clock.now() - begun).num_seconds();
    assert!((300..302).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_payload_names_another_tenant_than_its_envelope_is_dead() {
    let rig = Rig::new();
    let mut event = rig.event(&parcel_sent(1, 1));
    event.tenant = Tenant::project(2, 10);
    assert_eq!(dead_code(&rig, event).await, "tenant.mismatch");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_carries_an_event_of_another_tenant_is_dead() {
    let rig = Rig::new();
    let engine = rig.start_with_events(dispatcher(), Vec::new());
    let mut task = dispatch_envelope(&rig.event(&parcel_sent(1, 1)), &Limits::default()).unwrap();
    task.tenant = Tenant::project(2, 20);
    let id = rig.enqueue_envelope(task).await;
    rig.until_state(id, TaskState::Dead).await;
    assert_eq!(rig.dead_letter(id).await.failure.code, "tenant.mismatch");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_dispatch_task_without_an_event_in_it_is_dead_with_its_bytes() {
    let rig = Rig::new();
    let engine = rig.start_with_events(dispatcher(), Vec::new());
    let mut task = dispatch_envelope(&rig.event(&parcel_sent(1, 1)), &Limits::default()).unwrap();
    task.payload = json(r#"{"specversion": "1.0"}"#);
    let id = rig.enqueue_envelope(task.clone()).await;
    rig.until_state(id, TaskState::Dead).await;
    let letter = rig.dead_letter(id).await;
    assert_eq!(letter.failure.code, "envelope.malformed");
    assert_eq!(letter.body, task.encode().into_bytes());
    engine.stop().await;
}

/// More values than a payload may hold.
#[derive(Serialize, Deserialize, Task)]
#[task(topic = "letters", name = "list", version = 1)]
struct List {
    organization_id: OrganizationId,
    project_id: ProjectId,
    numbers: Vec<u32>,
}

fn start(rig: &Rig, routes: Routes) -> RunningEngine {
    let catalogue = EventCatalogue::new().with::<ParcelSent>();
    let engine = Engine::new(rig.ports(), dispatcher(), &catalogue, routes, Vec::new());
    engine.unwrap().start(&rig.health)
}

#[tokio::test(start_paused = true)]
async fn a_dispatch_that_cannot_be_made_stops_no_other_and_its_event_is_dead_with_the_reason() {
    let rig = Rig::new();
    let routes = Routes::new().on(|event: &ParcelSent| {
        let list = List {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            numbers: vec![7; 60_000],
        };
        (publish(list), publish(announce(event.parcel_id)))
    });
    let engine = start(&rig, routes);
    let event = rig.publish_event(rig.event(&parcel_sent(1, 1))).await;
    rig.until_state(event, TaskState::Dead).await;
    let other = rig.state(dispatch_id(event, "letters/announce")).await;
    assert_eq!(other, TaskState::Available);
    let failure = rig.dead_letter(event).await.failure;
    assert!(failure.message.starts_with("letters/list: "), "{failure}");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_dispatches_that_cannot_be_told_apart_are_a_mistake_that_is_named() {
    let rig = Rig::new();
    let routes = Routes::new().on(|event: &ParcelSent| {
        [1, 1]
            .map(|key| publish::<Announce>(announce(event.parcel_id)).key(key))
            .into_iter()
            .collect::<Vec<_>>()
    });
    let engine = start(&rig, routes);
    let event = rig.publish_event(rig.event(&parcel_sent(1, 1))).await;
    rig.until_state(event, TaskState::Dead).await;
    let failure = rig.dead_letter(event).await.failure;
    assert_eq!(failure.code, "route.invalid");
    assert_eq!(
        failure.message,
        "the route of ParcelSent dispatches letters/announce twice with key =1; give each its own `.key(…)`"
    );
    engine.stop().await;
}
