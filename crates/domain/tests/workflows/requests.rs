use std::sync::Arc;

use aftercommit_domain::contract::{
    Cause, DecodeError, EncodeError, EnvelopeFactory, InvalidName, OrganizationId, ProjectId, SignalName, TaskEnvelope,
    Tenant, WorkflowKey,
};
use aftercommit_domain::ids::Ids;
use aftercommit_domain::time::{Clock, Timestamp};
use aftercommit_domain::workflows::{
    ExternalWorkflow, SignalRequest, StartRequest, WorkflowId, WorkflowInput, WorkflowRequest, WorkflowSignal,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::host::{Sample, codec};

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "provision", version = 2, once_ever)]
struct Provision {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[derive(Serialize, Deserialize)]
struct Note(String);

impl WorkflowSignal for Note {
    const NAME: SignalName = SignalName::constant("note");
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

impl Ids for Fixed {
    fn next(&self) -> Uuid {
        Uuid::from_u128(1)
    }
}

fn factory() -> EnvelopeFactory {
    EnvelopeFactory::new(codec(), Arc::new(Fixed), Arc::new(Fixed), "/test")
}

fn start<I: WorkflowInput>(key: &str, input: &I) -> Result<StartRequest, EncodeError> {
    StartRequest::new(&factory(), factory().new_id(), key, input, &Cause::root())
}

fn signal(id: &WorkflowId) -> SignalRequest {
    SignalRequest::new(&factory(), factory().new_id(), id.clone(), &Note("hello".into())).unwrap()
}

fn task(request: &WorkflowRequest) -> TaskEnvelope {
    request.to_task(&factory(), &Cause::root()).unwrap()
}

fn requests() -> [(WorkflowRequest, &'static str); 5] {
    let sample = start("9", &Sample::of_project(8)).unwrap();
    let provision = Provision {
        organization_id: 7.into(),
        project_id: 8.into(),
    };
    let external = StartRequest {
        external: Some(ExternalWorkflow::new("SampleWorkflow", "python").unwrap()),
        ..sample.clone()
    };
    let note = signal(&sample.id);
    [
        (
            WorkflowRequest::Start(sample.clone()),
            include_str!("golden/start.json"),
        ),
        (
            WorkflowRequest::Start(start("9", &provision).unwrap()),
            include_str!("golden/start_once_ever.json"),
        ),
        (
            WorkflowRequest::Start(external),
            include_str!("golden/start_external.json"),
        ),
        (
            WorkflowRequest::Signal(note.clone()),
            include_str!("golden/signal.json"),
        ),
        (
            WorkflowRequest::SignalWithStart(sample, note),
            include_str!("golden/signal_with_start.json"),
        ),
    ]
}

#[test]
fn a_request_is_written_exactly_as_in_its_golden_file_and_reads_back_the_same() {
    for (request, golden) in requests() {
        let task = task(&request);
        assert_eq!(task.payload.as_str(), golden.trim_end());
        assert_eq!(WorkflowRequest::from_task(&task).unwrap(), request);
    }
}

#[test]
fn all_requests_to_one_workflow_have_one_order() {
    let sample = start("9", &Sample::of_project(8)).unwrap();
    let order = |request| task(&request).ordering();
    let of_start = order(WorkflowRequest::Start(sample.clone()));
    assert_eq!(order(WorkflowRequest::Signal(signal(&sample.id))), of_start);
    let other = start("10", &Sample::of_project(8)).unwrap();
    assert_ne!(order(WorkflowRequest::Start(other)), of_start);
    let of_another_tenant = start("9", &Sample::of_project(99)).unwrap();
    assert_ne!(order(WorkflowRequest::Start(of_another_tenant)), of_start);
}

#[test]
fn a_request_that_this_build_cannot_read_is_refused_without_saying_what_it_says() {
    let (request, _) = &requests()[0];
    let mut newer = task(request);
    newer.version = 2;
    assert!(WorkflowRequest::from_task(&newer).unwrap_err().is_of_a_newer_build());
    let mut other = task(request);
    other.payload = task(&requests()[3].0).payload;
    let error = WorkflowRequest::from_task(&other).unwrap_err();
    assert!(
        matches!(error, DecodeError::Payload { .. }) && !error.to_string().contains("hello"),
        "{error}"
    );
}

#[test]
fn a_key_or_a_queue_out_of_bounds_is_refused_when_it_is_written() {
    let long = "x".repeat(201);
    assert!(matches!(
        start(&long, &Sample::of_project(8)),
        Err(EncodeError::Name { .. })
    ));
    assert!(matches!(ExternalWorkflow::new("Sample", ""), Err(InvalidName { .. })));
    let key = WorkflowKey::new("x".repeat(200)).unwrap();
    let longest = WorkflowId::new(Tenant::project(7_i64, 8_i64), Sample::NAME, key);
    assert!(longest.order_key().as_str().len() <= 200);
}
