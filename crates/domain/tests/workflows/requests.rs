use std::sync::Arc;
use std::task::{Context, Waker};

use aftercommit_domain::contract::{
    Cause, ChangeName, DecodeError, EncodeError, EnvelopeFactory, InvalidName, Json, Limits, OrganizationId, ProjectId,
    Sealed, SignalName, TaskEnvelope, Tenant, WorkflowEnvelope, WorkflowKey,
};
use aftercommit_domain::events::OutboxMessage;
use aftercommit_domain::ids::{Ids, MessageId};
use aftercommit_domain::time::{Clock, Timestamp};
use aftercommit_domain::workflows::{
    Exit, ExternalWorkflow, RunInfo, RunProgress, SignalRequest, StartRequest, StepCommand, StepFuture, StepNumber,
    Workflow, WorkflowContext, WorkflowHost, WorkflowId, WorkflowInput, WorkflowProblem, WorkflowRegistry,
    WorkflowRequest, WorkflowRun, WorkflowSignal,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::host::{Sample, codec, info};

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
fn a_signal_that_was_early_is_written_exactly_as_in_its_golden_file_and_reads_back_the_same() {
    let (request, _) = &requests()[3];
    let mut early = task(request);
    assert_eq!(WorkflowRequest::times_early(&early), 0);
    for times in 1..=2 {
        early.payload = WorkflowRequest::early_once_more(&early, codec().limits()).unwrap();
        assert_eq!(WorkflowRequest::times_early(&early), times);
        assert_eq!(WorkflowRequest::from_task(&early).unwrap(), *request);
    }
    assert_eq!(
        early.payload.as_str(),
        include_str!("golden/signal_early.json").trim_end()
    );
}

#[test]
fn what_another_program_wrote_stays_as_it_was_written_when_a_signal_is_early() {
    let limits = *codec().limits();
    let mut early = task(&requests()[3].0);
    early.payload = Json::parse(
        r#"{"later": [1e2], "payload":12345678901234567890123.0, "early":-1}"#,
        &limits,
    )
    .unwrap();
    let again = WorkflowRequest::early_once_more(&early, &limits).unwrap();
    assert_eq!(
        again.as_str(),
        r#"{"early":1,"later":[1e2],"payload":12345678901234567890123.0}"#
    );
    early.payload = Json::parse("[]", &limits).unwrap();
    assert!(WorkflowRequest::early_once_more(&early, &limits).is_err());
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

const PIN: &str = "correct-horse-battery-staple";

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "send-pin", version = 1)]
struct SendPin {
    organization_id: OrganizationId,
    project_id: ProjectId,
    pin: Sealed<String>,
}

struct SendingPin;

#[async_trait::async_trait]
impl Workflow for SendingPin {
    type Input = SendPin;
    type Output = bool;

    async fn run(&self, _: &WorkflowContext, input: SendPin) -> Result<bool, Exit> {
        Ok(input.pin.expose() == PIN)
    }
}

#[test]
fn a_secret_of_an_input_is_sealed_in_its_request_and_in_its_envelope_and_in_clear_only_for_the_code() {
    let input = SendPin {
        organization_id: 7.into(),
        project_id: 8.into(),
        pin: Sealed::new(PIN.to_owned()),
    };
    let request = WorkflowRequest::Start(start("9", &input).unwrap());
    let task = task(&request);
    let WorkflowRequest::Start(start) = WorkflowRequest::from_task(&task).unwrap() else {
        panic!("it is a start")
    };
    for shown in [task.encode(), start.input.encode(), format!("{request:?}{task:?}")] {
        assert!(!shown.contains(PIN), "{shown}");
    }
    let registry = WorkflowRegistry::new(codec()).with_workflow(SendingPin).unwrap();
    let begin = |input: WorkflowEnvelope| {
        let info = RunInfo {
            workflow_id: start.id.clone(),
            input,
            ..info()
        };
        WorkflowRun::new(&registry, info, Arc::new(NoHost))
    };
    let mut run = begin(start.input.clone()).unwrap();
    let progress = run.poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(progress, RunProgress::Ended(Ok(true.into())));
    // Moved to another request, it does not open.
    let moved = WorkflowEnvelope {
        id: MessageId::from(Uuid::from_u128(2)),
        ..start.input.clone()
    };
    assert!(matches!(begin(moved), Err(WorkflowProblem::Unreadable { .. })));
}

#[derive(Serialize, Deserialize)]
struct Whisper(Sealed<String>);

impl WorkflowSignal for Whisper {
    const NAME: SignalName = SignalName::constant("whisper");
}

#[test]
fn a_secret_in_a_signal_is_refused_because_nothing_would_seal_it() {
    let whisper = Whisper(Sealed::new(PIN.to_owned()));
    let id = start("9", &Sample::of_project(8)).unwrap().id;
    let refused = SignalRequest::new(&factory(), factory().new_id(), id, &whisper);
    assert!(matches!(refused, Err(EncodeError::Serialise { .. })), "{refused:?}");
}

/// A run that asks for nothing.
struct NoHost;

impl WorkflowHost for NoHost {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn begin(&self, _: StepNumber, _: StepCommand) -> Result<StepFuture, WorkflowProblem> {
        Ok(Box::pin(std::future::pending()))
    }

    fn cancel(&self, _: StepNumber) {}

    fn patched(&self, _: &ChangeName) -> Result<bool, WorkflowProblem> {
        Ok(true)
    }
}

/// JSON of as many bytes, levels and values as a payload may have, in turn.
fn at_the_limits(limits: &Limits) -> [Json; 3] {
    let (levels, values) = (limits.json_depth, limits.json_nodes);
    let long = format!("\"{}\"", "x".repeat(limits.payload_bytes - 2));
    let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let many = format!("[{}]", vec!["1"; values - 1].join(","));
    [long, deep, many].map(|text| Json::parse(text, limits).unwrap())
}

#[test]
fn whatever_a_workflow_may_be_given_fits_into_its_request() {
    let limits = *codec().limits();
    for json in at_the_limits(&limits) {
        let mut start = start("9", &Sample::of_project(8)).unwrap();
        start.input.payload = json.clone();
        let signal = SignalRequest {
            payload: json.to().unwrap(),
            request_id: start.request_id(),
            ..signal(&start.id)
        };
        for request in [
            WorkflowRequest::Start(start.clone()),
            WorkflowRequest::Signal(signal.clone()),
            WorkflowRequest::SignalWithStart(start, signal),
        ] {
            let text = task(&request).encode_within(&limits).unwrap();
            let read = TaskEnvelope::decode(text.as_bytes(), &limits).unwrap();
            OutboxMessage::Task(read.clone()).check_payload(&limits).unwrap();
            assert!(WorkflowRequest::from_task(&read).unwrap() == request);
            WorkflowRequest::early_once_more(&read, &limits).unwrap();
        }
    }
}
