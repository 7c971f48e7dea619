//! Ids of workflows, what is asked of them through the outbox, and what they are started with: what is read is written as the
//! same again; what is not has a code, in words that are bounded and repeat nothing of it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::LazyLock;

use aftercommit_domain::contract::{
    Cause, DecodeError, Json, Limits, TaskEnvelope, TaskName, Tenant, WorkflowEnvelope,
};
use aftercommit_domain::failure::{Classified as _, ErrorClass, Failure, MAX_FAILURE_TEXT};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::workflows::{
    SIGNAL_TASK, SIGNAL_WITH_START_TASK, START_TASK, WORKFLOW_REQUESTS_TOPIC, WorkflowId, WorkflowRequest,
};
use aftercommit_fuzz::{Drawn, any_json, any_text, fuzz_target, mutated, unique_id};
use aftercommit_testkit::{TestServices, test_services};
use serde_json::Value;
use uuid::Uuid;

fuzz_target!(fuzz_workflows, of_workflows, what_is_of_workflows_keeps_its_meaning);

/// What stands in the first line of an input, and says what the rest is.
const KINDS: [&str; 5] = ["id", "envelope", "start", "signal", "signal-with-start"];
const NAMES: [&str; 5] = ["collect-payment", "a", "Collect", "-a", ""];
const TENANTS: [&str; 8] = ["7", "-", "%2D", "a%2Fb", "%252F", "%25", "%", "é東🙂"];
const KEYS: [&str; 6] = ["9", "x/y", "-", "%2F", "a b", ""];
/// Data that no message may repeat; ids and keys are shown.
const CANARY: &str = "only-in-data";

fn of_workflows(drawn: &mut Drawn<'_>) -> arbitrary::Result<Vec<u8>> {
    let kind = *drawn.choose(&KINDS)?;
    let text = match kind {
        "id" => format!("{}/{}", tenant(drawn)?, name_and_key(drawn, "/")?),
        "envelope" => format!(
            "{{\"id\":\"{}\",{},\"workflow\":{},\"version\":{},\"correlation_id\":{},\"payload\":{}}}",
            unique_id(drawn)?,
            drawn.choose(&[
                "\"organization_id\":\"7\",\"project_id\":\"8\"",
                "\"organization_id\":\"7\""
            ])?,
            Value::from(*drawn.choose(&NAMES)?),
            drawn.choose(&["1", "0", "65535", "65536"])?,
            Value::from(any_text(drawn)?),
            data(drawn)?,
        ),
        "start" => start(drawn)?,
        "signal" => format!("{{{},{}}}", fields(drawn)?, told(drawn)?),
        _ => format!("{{\"start\":{},{}}}", start(drawn)?, told(drawn)?),
    };
    let mut input = format!("{kind}\n").into_bytes();
    input.extend(mutated(drawn, text.into_bytes())?);
    Ok(input)
}

fn tenant(drawn: &mut Drawn<'_>) -> arbitrary::Result<String> {
    Ok([*drawn.choose(&TENANTS)?, *drawn.choose(&TENANTS)?].join("/"))
}

fn name_and_key(drawn: &mut Drawn<'_>, between: &str) -> arbitrary::Result<String> {
    let key = match drawn.int_in_range(0..=7)? {
        0 => any_text(drawn)?,
        1 => "k".repeat(drawn.int_in_range(199..=201)?),
        _ => (*drawn.choose(&KEYS)?).to_owned(),
    };
    Ok([*drawn.choose(&NAMES)?, &key].join(between))
}

fn fields(drawn: &mut Drawn<'_>) -> arbitrary::Result<String> {
    let both = name_and_key(drawn, "\n")?;
    let (name, key) = both.split_once('\n').unwrap_or_default();
    Ok(format!(
        "\"workflow\":{},\"key\":{}",
        Value::from(name),
        Value::from(key)
    ))
}

fn start(drawn: &mut Drawn<'_>) -> arbitrary::Result<String> {
    let more = *drawn.choose(&[
        "",
        ",\"once_ever\":true",
        ",\"external\":{\"type\":\"T\",\"task_queue\":\"q\"}",
        ",\"external\":{\"type\":\"T\",\"task_queue\":\"\"}",
        ",\"external\":null,\"once_ever\":false",
    ])?;
    let version = drawn.choose(&["1", "0", "65535", "-1"])?;
    Ok(format!(
        "{{{}{more},\"version\":{version},\"input\":{}}}",
        fields(drawn)?,
        data(drawn)?
    ))
}

fn told(drawn: &mut Drawn<'_>) -> arbitrary::Result<String> {
    let signal = Value::from(*drawn.choose(&["paid", "go-on", "Paid", ""])?);
    Ok(format!("\"signal\":{signal},\"payload\":{}", data(drawn)?))
}

fn data(drawn: &mut Drawn<'_>) -> arbitrary::Result<String> {
    Ok(match drawn.int_in_range(0..=3)? {
        0 => format!("\"{CANARY}\""),
        _ => any_json(drawn)?,
    })
}

fn what_is_of_workflows_keeps_its_meaning(input: &[u8]) {
    let Some(at) = input.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (kind, rest) = (&input[..at], &input[at + 1..]);
    match kind {
        b"id" => an_id_has_one_spelling(&String::from_utf8_lossy(rest)),
        b"envelope" => an_envelope_is_written_as_it_was_read(rest),
        b"start" => a_request_is_written_as_it_was_read(START_TASK, rest),
        b"signal" => a_request_is_written_as_it_was_read(SIGNAL_TASK, rest),
        b"signal-with-start" => a_request_is_written_as_it_was_read(SIGNAL_WITH_START_TASK, rest),
        _ => {}
    }
}

fn an_id_has_one_spelling(text: &str) {
    let Ok(id) = text.parse::<WorkflowId>() else {
        return;
    };
    assert_eq!(id.to_string(), text);
    assert!(text.len() <= 706, "{text}");
    assert!(!id.order_key().as_str().is_empty());
    let again = WorkflowId::new(id.tenant().clone(), id.name().clone(), id.key().clone());
    assert_eq!(again, id);
    assert_eq!(serde_json::from_value::<WorkflowId>(text.into()).unwrap(), id);
}

fn an_envelope_is_written_as_it_was_read(bytes: &[u8]) {
    let limits = Limits::default();
    match WorkflowEnvelope::decode(bytes, &limits) {
        Ok(envelope) => {
            let written = envelope.encode();
            assert_eq!(WorkflowEnvelope::decode(written.as_bytes(), &limits).unwrap(), envelope);
            let cause = envelope.cause_of_next();
            assert_eq!(cause.causation, Some(envelope.id));
        }
        Err(error) => is_refused_well(&error),
    }
}

static SERVICES: LazyLock<TestServices> = LazyLock::new(test_services);

fn a_request_is_written_as_it_was_read(task: TaskName, payload: &[u8]) {
    let envelopes = &SERVICES.envelopes;
    let limits = envelopes.codec().limits().of_carried_workflow();
    let text = String::from_utf8_lossy(payload).into_owned();
    let Ok(payload) = Json::parse(text, &limits) else {
        return;
    };
    let id = MessageId::from(Uuid::from_u128(7));
    let carries = TaskEnvelope {
        id,
        topic: WORKFLOW_REQUESTS_TOPIC,
        task,
        version: 1,
        tenant: Tenant::project(7_i64, 8_i64),
        attempt: 1,
        enqueued_at: Timestamp::UNIX_EPOCH,
        first_enqueued_at: Timestamp::UNIX_EPOCH,
        not_before: None,
        deadline: None,
        order_key: None,
        coalescing: None,
        slot: None,
        cause: Cause::root(),
        payload,
    };
    let request = match WorkflowRequest::from_task(&carries) {
        Ok(request) => request,
        Err(error) => return is_refused_well(&error),
    };
    let workflow = match &request {
        WorkflowRequest::Start(start) | WorkflowRequest::SignalWithStart(start, _) => &start.id,
        WorkflowRequest::Signal(signal) => &signal.id,
    };
    assert_eq!(
        *workflow.tenant(),
        carries.tenant,
        "whatever it says, it is of its task's tenant"
    );
    assert_eq!(workflow.to_string().parse(), Ok(workflow.clone()));
    // Spelled shorter than it came, it may not become longer than its limits.
    let written = request.to_task(envelopes, &carries.cause).unwrap();
    assert_eq!(written.id, id);
    assert_eq!(written.order_key, Some(workflow.order_key()));
    // The first task had no cause, and what is written is its own.
    let read = WorkflowRequest::from_task(&written).unwrap();
    let again = read.to_task(envelopes, &written.cause).unwrap();
    assert_eq!((&again.payload, &again.cause), (&written.payload, &written.cause));
    assert_eq!(WorkflowRequest::from_task(&again).unwrap(), read);
    assert!(!format!("{request:?}").contains(CANARY), "what it says is in its Debug");
}

fn is_refused_well(error: &DecodeError) {
    assert_eq!(error.class(), ErrorClass::Permanent);
    let failure = Failure::of(error);
    assert!(failure.message.len() <= MAX_FAILURE_TEXT);
    assert!(!failure.message.contains(CANARY), "{failure:?}");
    assert!(
        !failure.message.contains(|c: char| c.is_control() && c != '\n'),
        "{failure:?}"
    );
}
