//! What is read as an envelope is written as the same envelope again; what is not has a code, in words that are bounded.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use aftercommit_domain::contract::{DecodeError, EventEnvelope, Limits, OrderKey, TaskEnvelope};
use aftercommit_domain::events::{OutboxMessage, dispatch_envelope};
use aftercommit_domain::failure::{Classified as _, ErrorClass, Failure, MAX_FAILURE_TEXT};
use aftercommit_fuzz::{Drawn, any_json, any_text, fuzz_target, mutated, unique_id};
use serde_json::Value;

fuzz_target!(fuzz_envelopes, envelope, an_envelope_keeps_its_meaning);

/// The fields of an event and of a task, each with values of its own kind.
const EVENT: [&str; 16] = [
    "specversion",
    "id",
    "type",
    "source",
    "subject",
    "time",
    "datacontenttype",
    "organizationid",
    "projectid",
    "schemaversion",
    "sequence",
    "correlationid",
    "causationid",
    "traceparent",
    "tracestate",
    "data",
];
const TASK: [&str; 17] = [
    "id",
    "topic",
    "task",
    "version",
    "organization_id",
    "project_id",
    "attempt",
    "enqueued_at",
    "first_enqueued_at",
    "not_before",
    "deadline",
    "order_key",
    "correlation_id",
    "causation_id",
    "traceparent",
    "tracestate",
    "payload",
];
/// May be left out of any envelope.
const OPTIONAL: [&str; 17] = [
    "datacontenttype",
    "organizationid",
    "projectid",
    "organization_id",
    "project_id",
    "sequence",
    "attempt",
    "not_before",
    "deadline",
    "order_key",
    "correlationid",
    "correlation_id",
    "causationid",
    "causation_id",
    "traceparent",
    "tracestate",
    "datacontenttype",
];
const TIMES: [&str; 8] = [
    "2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05.123456Z",
    "2026-01-02T03:04:05.123456789+14:00",
    "2026-01-02 03:04:05z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "+10000-01-01T00:00:00Z",
    "+262142-12-31T23:59:59Z",
];
const ODD_TIMES: [&str; 6] = [
    "-0001-12-31T23:59:59Z",
    "2016-12-31T23:59:60Z",
    "2026-02-30T00:00:00Z",
    "2026-01-02",
    "+999999-01-01T00:00:00Z",
    "infinity",
];

/// A valid envelope, in which up to three fields may have odd values, and fields may be left out, doubled or added; and then,
/// perhaps, with bytes changed.
fn envelope(drawn: &mut Drawn<'_>) -> arbitrary::Result<Vec<u8>> {
    let fields: &[&str] = if drawn.arbitrary()? { &EVENT } else { &TASK };
    let mut odd = [fields.len(); 3];
    for odd in &mut odd[..drawn.int_in_range(0..=3)?] {
        *odd = drawn.int_in_range(0..=fields.len() - 1)?;
    }
    let mut written = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        if OPTIONAL.contains(field) && drawn.ratio(1, 3)? {
            continue;
        }
        let value = if odd.contains(&at) {
            match drawn.int_in_range(0..=3)? {
                0 => continue,
                1 => any_json(drawn)?,
                _ => odd_value(field, drawn)?,
            }
        } else {
            good_value(field, drawn)?
        };
        written.push(format!("\"{field}\":{value}"));
    }
    if drawn.ratio(1, 6)? {
        written.push(format!("{}:{}", Value::from(any_text(drawn)?), valid_json(drawn)?));
    }
    if drawn.ratio(1, 12)? && !written.is_empty() {
        let twice = drawn.int_in_range(0..=written.len() - 1)?;
        written.push(written[twice].clone());
    }
    let separator = drawn.choose(&[",", " ,\n"])?;
    mutated(drawn, format!("{{{}}}", written.join(separator)).into_bytes())
}

fn valid_json(drawn: &mut Drawn<'_>) -> arbitrary::Result<String> {
    let json = any_json(drawn)?;
    let is_valid = serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok();
    Ok(if is_valid { json } else { "{\"number\":1e400}".into() })
}

fn good_value(field: &str, drawn: &mut Drawn<'_>) -> arbitrary::Result<String> {
    let text = match field {
        "id" | "causationid" | "causation_id" => format!("0192f0c1-7a3b-7c4d-8e5f-{:012x}", drawn.arbitrary::<u16>()?),
        "specversion" => "1.0".into(),
        "type" => (*drawn.choose(&["RecordsIngested", "ProjectCreated", "A"])?).into(),
        "topic" | "task" => (*drawn.choose(&["records", "domain-events", "dispatch", "a1"])?).into(),
        "subject" => (*drawn.choose(&["project/web", "user-9//", "a/é東🙂 %"])?).into(),
        "time" | "enqueued_at" | "first_enqueued_at" | "not_before" | "deadline" => (*drawn.choose(&TIMES)?).into(),
        "organizationid" | "organization_id" => (*drawn.choose(&["acme", "7", "ä\u{202e}"])?).into(),
        "projectid" | "project_id" => (*drawn.choose(&["web", "8"])?).into(),
        "sequence" => (*drawn.choose(&["00000000000000000042", "0", "18446744073709551615"])?).into(),
        "traceparent" => (*drawn.choose(&["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-x"])?).into(),
        "schemaversion" | "version" | "attempt" => return Ok((*drawn.choose(&["1", "2", "0", "65535"])?).into()),
        "data" | "payload" => return valid_json(drawn),
        "order_key" | "correlationid" | "correlation_id" => (*drawn.choose(&["k", "é/#* ", "0"])?).into(),
        _ => any_text(drawn)?,
    };
    Ok(Value::from(text).to_string())
}

fn odd_value(field: &str, drawn: &mut Drawn<'_>) -> arbitrary::Result<String> {
    let text = match field {
        "id" | "causationid" | "causation_id" => unique_id(drawn)?,
        "subject" => format!("{}/{}", drawn.choose(&["project", "Invoice", ""])?, any_text(drawn)?),
        "time" | "enqueued_at" | "first_enqueued_at" | "not_before" | "deadline" => (*drawn.choose(&ODD_TIMES)?).into(),
        "sequence" => (*drawn.choose(&["18446744073709551616", "-1", "+7", "1.0"])?).into(),
        "schemaversion" | "version" | "attempt" => {
            return Ok((*drawn.choose(&["65536", "4294967296", "1.0", "-1", "1e2"])?).into());
        }
        _ => any_text(drawn)?,
    };
    Ok(Value::from(text).to_string())
}

fn an_envelope_keeps_its_meaning(bytes: &[u8]) {
    let limits = Limits::default();
    match EventEnvelope::decode(bytes, &limits) {
        Ok(event) => {
            let written = event.encode();
            assert_eq!(
                EventEnvelope::decode(written.as_bytes(), &limits).unwrap(),
                event,
                "{written}"
            );
            assert!(OrderKey::new(event.aggregate.to_string()).is_ok(), "{written}");
            is_stored_or_refused(&OutboxMessage::Event(event.clone()), &limits);
            if let Ok(task) = dispatch_envelope(&event, &limits) {
                let carried = task
                    .encode_within(&Limits {
                        envelope_bytes: usize::MAX,
                        ..limits
                    })
                    .unwrap();
                let task = TaskEnvelope::decode(carried.as_bytes(), &limits).unwrap();
                let inside = EventEnvelope::decode(task.payload.as_str().as_bytes(), &limits).unwrap();
                assert_eq!(inside, event, "an event is carried unchanged");
            }
        }
        Err(error) => is_refused_well(&error),
    }
    match TaskEnvelope::decode(bytes, &limits) {
        Ok(task) => {
            let written = task.encode();
            assert_eq!(
                TaskEnvelope::decode(written.as_bytes(), &limits).unwrap(),
                task,
                "{written}"
            );
            assert!(task.attempt >= 1);
            if let Some(ordering) = task.ordering() {
                assert_eq!(
                    ordering.matches('\u{1f}').count(),
                    2,
                    "a key cannot look like another tenant's: {ordering:?}"
                );
            }
            is_stored_or_refused(&OutboxMessage::Task(task), &limits);
        }
        Err(error) => is_refused_well(&error),
    }
}

/// What may be written is read again by the relay, as the same message.
fn is_stored_or_refused(message: &OutboxMessage, limits: &Limits) {
    let Ok(raw) = message.to_raw(message.tenant(), limits) else {
        return;
    };
    assert_eq!(OutboxMessage::from_raw(&raw, limits).unwrap(), *message);
    if let Err(error) = message.check_payload(limits) {
        is_refused_well(&error);
        assert!(
            matches!(error.code(), "payload.nul" | "payload.malformed"),
            "limits are the same on both sides: {error}"
        );
    }
}

fn is_refused_well(error: &DecodeError) {
    const CODES: [&str; 13] = [
        "envelope.empty",
        "envelope.encoding",
        "envelope.malformed",
        "envelope.too_large",
        "json.duplicate_key",
        "json.too_deep",
        "json.too_many_values",
        "payload.too_large",
        "payload.nul",
        "payload.malformed",
        "tenant.missing",
        "id.missing",
        "id.invalid",
    ];
    let code = error.code();
    assert!(CODES.contains(&code), "{code}");
    assert_eq!(error.class(), ErrorClass::Permanent);
    let failure = Failure::of(error);
    assert!(failure.message.len() <= MAX_FAILURE_TEXT);
    assert!(
        !failure.message.contains(|c: char| c.is_control() && c != '\n'),
        "{failure:?}"
    );
}
