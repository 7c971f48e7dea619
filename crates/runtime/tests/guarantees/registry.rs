//! What is checked before anything starts: every mistake is named, all of them at once.

use std::collections::BTreeSet;
use std::time::Duration;

use aftercommit_domain::contract::{Cause, Json, OrganizationId, ProjectId};
use aftercommit_domain::events::{DomainEvent, EventCatalogue, Routes, publish};
use aftercommit_domain::tasks::{Task, TaskOptions};
use aftercommit_runtime::worker::{Topic, TopicOverrides};
use aftercommit_runtime::{Engine, EngineOptions, Roles};
use serde::{Deserialize, Serialize};

use crate::support::contracts::{
    Announce, Deliver, ParcelSeen, ParcelSent, PinIssued, SendPin, announce, catalogue, deliver, deliveries, routes,
};
use crate::support::handlers::Completes;
use crate::support::rig::Rig;

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "ParcelReturned", version = 1, aggregate = "parcel")]
struct ParcelReturned {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    parcel_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "domain-events", name = "dispatch", version = 1)]
struct Intruder {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

fn problems(options: EngineOptions, catalogue: &EventCatalogue, routes: Routes, topics: Vec<Topic>) -> Vec<String> {
    let rig = Rig::new();
    match Engine::new(rig.ports(), options, catalogue, routes, topics) {
        Ok(_) => Vec::new(),
        Err(error) => {
            assert_eq!(error.to_string(), error.problems.join("\n"), "one line for each");
            error.problems
        }
    }
}

fn problems_of_topics(topics: Vec<Topic>) -> Vec<String> {
    problems(EngineOptions::default(), &EventCatalogue::new(), Routes::new(), topics)
}

fn problems_of_routes(catalogue: &EventCatalogue, routes: Routes) -> Vec<String> {
    problems(EngineOptions::default(), catalogue, routes, Vec::new())
}

fn letters() -> Topic {
    Topic::named("letters")
        .handle::<Announce>(Completes)
        .handle::<SendPin>(Completes)
}

#[tokio::test]
async fn what_fits_together_starts() {
    let topics = vec![deliveries(Completes), letters()];
    assert_eq!(
        problems(EngineOptions::default(), &catalogue(), routes(), topics),
        [""; 0]
    );
}

#[tokio::test]
async fn a_process_may_run_without_topics_that_others_own() {
    assert_eq!(problems_of_routes(&catalogue(), routes()), [""; 0]);
}

#[tokio::test]
async fn an_event_without_a_route_is_named() {
    assert_eq!(
        problems_of_routes(&catalogue().with::<ParcelReturned>(), routes()),
        ["ParcelReturned has no route; add `.on(|event: &ParcelReturned| …)` or `.none::<ParcelReturned>(\"reason\")`"]
    );
}

#[tokio::test]
async fn a_route_without_an_event_is_named() {
    assert_eq!(
        problems_of_routes(&catalogue(), routes().none::<ParcelReturned>("nobody asked")),
        ["ParcelReturned has a route but is not in the catalogue; add it to `catalogue![…]`"]
    );
}

#[tokio::test]
async fn an_event_with_two_routes_or_listed_twice_is_named() {
    let routes = routes().none::<ParcelSeen>("again");
    assert_eq!(
        problems_of_routes(&catalogue().with::<ParcelSent>(), routes),
        [
            "ParcelSeen has 2 routes; an event has one entry that may dispatch several tasks",
            "ParcelSent is 2 times in the catalogue; list it once",
        ]
    );
}

#[tokio::test]
async fn a_task_with_two_handlers_is_named() {
    let topic = deliveries(Completes).handle::<Deliver>(Completes);
    assert_eq!(
        problems_of_topics(vec![topic]),
        ["task deliveries/deliver has two handlers"]
    );
}

#[tokio::test]
async fn a_task_under_the_wrong_topic_is_named() {
    let topic = letters().handle::<Deliver>(Completes);
    assert_eq!(
        problems_of_topics(vec![topic]),
        ["task deliveries/deliver is handled under topic letters; declare it under its own topic"]
    );
}

#[tokio::test]
async fn a_routed_task_without_a_handler_on_an_owned_topic_is_named() {
    let letters = Topic::named("letters").handle::<Announce>(Completes);
    assert_eq!(
        problems(EngineOptions::default(), &catalogue(), routes(), vec![letters]),
        ["PinIssued routes to letters/send-pin, which has no handler; add `.handle::<…>(…)` to its topic"]
    );
}

#[tokio::test]
async fn a_topic_declared_twice_is_named_and_its_handlers_are_not_reported_as_missing() {
    let again = Topic::named("letters").handle::<SendPin>(Completes);
    let topics = vec![Topic::named("letters").handle::<Announce>(Completes), again];
    assert_eq!(
        problems(EngineOptions::default(), &catalogue(), routes(), topics),
        ["topic letters is declared twice; one module owns a topic with all its tasks"]
    );
}

#[tokio::test]
async fn a_topic_without_handlers_or_with_a_name_that_is_none_is_named() {
    let topics = ["Letters", "", "a b", "returns"].map(Topic::named);
    let must_be = "a topic name must be lower-kebab-case, 1 to 120 bytes, such as invitation-email";
    assert_eq!(
        problems_of_topics(topics.into()),
        [
            format!("topic \"Letters\": {must_be}"),
            format!("topic \"\": {must_be}"),
            format!("topic \"a b\": {must_be}"),
            "topic returns has no handlers; add `.handle::<Task>(handler)`".into(),
        ]
    );
}

#[tokio::test]
async fn numbers_with_which_no_task_would_ever_end_are_named() {
    let overrides = TopicOverrides {
        timeout: Some(Duration::ZERO),
        concurrency: Some(10_001),
        ..TopicOverrides::default()
    };
    let options = EngineOptions {
        topics: [("letters".parse().unwrap(), overrides)].into(),
        ..EngineOptions::default()
    };
    let letters = Topic::named("letters").handle::<Announce>(Completes);
    let topics = vec![deliveries(Completes).concurrency(0), letters];
    assert_eq!(
        problems(options, &EventCatalogue::new(), Routes::new(), topics),
        [
            "topic deliveries has a concurrency of 0; it is 1 to 10000 handlers at once",
            "topic letters has a concurrency of 10001; it is 1 to 10000 handlers at once",
            "task letters/announce has a timeout of zero; no attempt could end in time",
        ]
    );
}

#[tokio::test]
async fn the_dispatchers_own_topic_cannot_be_taken() {
    let topic = Topic::named("domain-events").handle::<Intruder>(Completes);
    assert_eq!(
        problems_of_topics(vec![topic]),
        ["topic domain-events is the dispatcher's own; give yours another name"]
    );
}

#[tokio::test]
async fn a_topic_to_be_run_that_is_not_declared_is_named() {
    let roles = Roles {
        topics: Some(BTreeSet::from(
            ["deliveries", "returns", "stamps"].map(|name| name.parse().unwrap()),
        )),
        ..Roles::default()
    };
    let options = EngineOptions {
        roles,
        ..EngineOptions::default()
    };
    assert_eq!(
        problems(
            options,
            &EventCatalogue::new(),
            Routes::new(),
            vec![deliveries(Completes)]
        ),
        [
            "topic returns is to be run here but is not declared",
            "topic stamps is to be run here but is not declared",
        ]
    );
}

#[tokio::test]
async fn everything_that_is_wrong_is_named_at_once() {
    let routes = Routes::new()
        .on(|event: &ParcelSent| (publish(deliver(event.parcel_id)), publish(announce(event.parcel_id))))
        .none::<ParcelReturned>("nobody asked");
    let catalogue = EventCatalogue::new().with::<ParcelSent>().with::<PinIssued>();
    let topics = vec![
        Topic::named("letters").handle::<SendPin>(Completes),
        deliveries(Completes).handle::<Deliver>(Completes),
        deliveries(Completes),
    ];
    let roles = Roles {
        topics: Some(BTreeSet::from(["stamps".parse().unwrap()])),
        ..Roles::default()
    };
    let options = EngineOptions {
        roles,
        ..EngineOptions::default()
    };
    assert_eq!(
        problems(options, &catalogue, routes, topics),
        [
            "PinIssued has no route; add `.on(|event: &PinIssued| …)` or `.none::<PinIssued>(\"reason\")`",
            "ParcelReturned has a route but is not in the catalogue; add it to `catalogue![…]`",
            "task deliveries/deliver has two handlers",
            "topic deliveries is declared twice; one module owns a topic with all its tasks",
            "task deliveries/deliver has two handlers",
            "ParcelSent routes to letters/announce, which has no handler; add `.handle::<…>(…)` to its topic",
            "topic stamps is to be run here but is not declared",
        ]
    );
}

#[tokio::test]
async fn an_engine_tells_what_it_runs_and_reads_what_a_person_wrote() {
    let rig = Rig::new();
    let topics = vec![letters(), deliveries(Completes)];
    let engine = Engine::new(rig.ports(), EngineOptions::default(), &catalogue(), routes(), topics).unwrap();
    let tasks: Vec<String> = engine
        .task_descriptors()
        .iter()
        .map(|task| format!("{}/{}", task.topic, task.task))
        .collect();
    assert_eq!(tasks, ["deliveries/deliver", "letters/announce", "letters/send-pin"]);
    assert_eq!(engine.topic_names().len(), 2);
    let inputs = engine.task_inputs();
    let (topic, task) = ("letters".parse().unwrap(), "announce".parse().unwrap());
    let json = |text: &str| Json::parse(text, rig.envelopes.codec().limits()).unwrap();
    let input = json(r#"{"organization_id":"1","project_id":"10","parcel_id":7}"#);
    let read = |task, input: &_| {
        let (options, cause) = (TaskOptions::default(), Cause::root());
        inputs.read((&topic, task), input, &rig.envelopes, &options, &cause)
    };
    assert_eq!(read(&task, &input).unwrap().payload, input);
    assert!(read(&task, &json("{}")).is_err());
    let unknown = read(&"juggle".parse().unwrap(), &input).unwrap_err();
    assert_eq!(unknown.to_string(), "nothing here knows the task letters/juggle");
}
