//! What is read: tolerant of what a newer or foreign writer does, with an exact answer to each bad input.

use aftercommit_domain::contract::DecodeError;
use aftercommit_domain::failure::{Classified, Failure};
use serde_json::{Value, json};

use crate::{EVENT, EVENT_MINIMAL, TASK, TASK_MINIMAL, decode_event, decode_task};

const ID: &str = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";
const UPPER_CASE_ID: &str = "0192F0C1-7A3B-7C4D-8E5F-0123456789AB";

#[test]
fn fields_a_newer_writer_added_are_tolerated() {
    let extra = json!({ "nested": [{ "deep": null }] });
    let event = decode_event(&with(EVENT, "addedlater", &extra)).unwrap();
    assert_eq!(event, decode_event(&reordered(EVENT)).unwrap());
    let task = decode_task(&with(TASK, "added_later", &extra)).unwrap();
    assert_eq!(task, decode_task(&reordered(TASK)).unwrap());
}

#[test]
fn fields_an_older_or_foreign_writer_left_out_have_their_defaults() {
    assert_eq!(decode_task(&without(TASK_MINIMAL, "attempt")).unwrap().attempt, 1);
    let event = decode_event(&without(EVENT_MINIMAL, "datacontenttype")).unwrap();
    assert_eq!(event, decode_event(EVENT_MINIMAL.as_bytes()).unwrap());
}

#[test]
fn a_broken_trace_costs_the_trace_and_not_the_message() {
    let event = decode_event(&with(EVENT, "traceparent", &json!("00-zz"))).unwrap();
    assert_eq!((event.cause.trace, event.id.to_string().as_str()), (None, ID));
    let task = decode_task(&with(TASK, "tracestate", &json!("a\r\nb"))).unwrap();
    assert_eq!(task.cause.trace.unwrap().tracestate(), None);
}

/// Bodies that are no envelope of any kind.
fn broken_bodies(golden: &str) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let golden = golden.trim_end();
    let mut not_utf8 = golden.as_bytes().to_vec();
    not_utf8[20] = 0xff;
    let of_id = |id: &str| with(golden, "id", &json!(id));
    vec![
        ("empty", Vec::new(), "envelope.empty"),
        ("not JSON", b"hello".to_vec(), "envelope.malformed"),
        (
            "trailing garbage",
            format!("{golden}x").into_bytes(),
            "envelope.malformed",
        ),
        (
            "two documents",
            format!("{golden}{golden}").into_bytes(),
            "envelope.malformed",
        ),
        (
            "byte order mark",
            format!("\u{feff}{golden}").into_bytes(),
            "envelope.malformed",
        ),
        ("an array", b"[]".to_vec(), "envelope.malformed"),
        ("a hundred thousand arrays", vec![b'['; 100_000], "envelope.malformed"),
        ("not UTF-8", not_utf8, "envelope.encoding"),
        ("over a mebibyte", vec![b' '; 1024 * 1024 + 1], "envelope.too_large"),
        ("one key twice", doubled(golden, "id", "\"x\""), "json.duplicate_key"),
        (
            "one key twice, the same",
            doubled(golden, "id", &format!("\"{ID}\"")),
            "json.duplicate_key",
        ),
        ("no id", without(golden, "id"), "id.missing"),
        ("empty id", of_id(""), "id.invalid"),
        (
            "an id that is a number",
            with(golden, "id", &json!(7)),
            "envelope.malformed",
        ),
        ("an id that is no UUID", of_id("42"), "id.invalid"),
        ("an id of 300 bytes", of_id(&"x".repeat(300)), "id.invalid"),
        ("a nil id", of_id("00000000-0000-0000-0000-000000000000"), "id.invalid"),
        ("an upper-case id", of_id(UPPER_CASE_ID), "id.invalid"),
        ("an id in braces", of_id(&format!("{{{ID}}}")), "id.invalid"),
        ("an id without hyphens", of_id(&ID.replace('-', "")), "id.invalid"),
    ]
}

#[test]
fn every_bad_event_gets_its_exact_code_and_words() {
    let set = |key: &str, value: Value| with(EVENT, key, &value);
    let mut cases = broken_bodies(EVENT);
    cases.extend([
        (
            "a project without organization",
            without(EVENT, "organizationid"),
            "tenant.missing",
        ),
        (
            "empty organization",
            set("organizationid", json!("")),
            "envelope.malformed",
        ),
        (
            "organization of 65 bytes",
            set("organizationid", json!("x".repeat(65))),
            "envelope.malformed",
        ),
        (
            "upper-case causation",
            set("causationid", json!(UPPER_CASE_ID)),
            "id.invalid",
        ),
        (
            "a name with a hash",
            set("type", json!("Invoice#Paid")),
            "envelope.malformed",
        ),
        ("the data twice", doubled(EVENT, "data", "{}"), "json.duplicate_key"),
        ("no data", without(EVENT, "data"), "envelope.malformed"),
        ("negative sequence", set("sequence", json!("-1")), "envelope.malformed"),
        (
            "another CloudEvents version",
            set("specversion", json!("0.3")),
            "envelope.malformed",
        ),
        (
            "version over 65535",
            set("schemaversion", json!(65_536)),
            "envelope.malformed",
        ),
        (
            "version as text",
            set("schemaversion", json!("2")),
            "envelope.malformed",
        ),
        (
            "a subject without id",
            set("subject", json!("invoice")),
            "envelope.malformed",
        ),
        (
            "a separator in the subject",
            set("subject", json!("invoice/9\u{1f}x")),
            "envelope.malformed",
        ),
        (
            "a subject over 200 bytes",
            set("subject", json!(format!("invoice/{}", "9".repeat(193)))),
            "envelope.malformed",
        ),
    ]);
    insta::assert_snapshot!("bad_events", table(cases, |body| decode_event(body).map(drop)));
}

#[test]
fn every_bad_task_gets_its_exact_code_and_words() {
    let set = |key: &str, value: Value| with(TASK, key, &value);
    let mut cases = broken_bodies(TASK);
    cases.extend([
        (
            "a project without organization",
            without(TASK, "organization_id"),
            "tenant.missing",
        ),
        (
            "the causation in braces",
            set("causation_id", json!(format!("{{{ID}}}"))),
            "id.invalid",
        ),
        (
            "a topic with a star",
            set("topic", json!("receipts.*")),
            "envelope.malformed",
        ),
        ("an empty task name", set("task", json!("")), "envelope.malformed"),
        ("negative attempt", set("attempt", json!(-1)), "envelope.malformed"),
        ("attempt as text", set("attempt", json!("4")), "envelope.malformed"),
        ("fractional attempt", set("attempt", json!(1.5)), "envelope.malformed"),
        (
            "attempt over 32 bits",
            set("attempt", json!(4_294_967_296_u64)),
            "envelope.malformed",
        ),
        (
            "a time that is none",
            set("not_before", json!("infinity")),
            "envelope.malformed",
        ),
        ("empty order key", set("order_key", json!("")), "envelope.malformed"),
        (
            "order key with NUL",
            set("order_key", json!("a\0b")),
            "envelope.malformed",
        ),
        (
            "order key of 201 bytes",
            set("order_key", json!("x".repeat(201))),
            "envelope.malformed",
        ),
    ]);
    insta::assert_snapshot!("bad_tasks", table(cases, |body| decode_task(body).map(drop)));
}

/// What is said of each, after its code was compared.
fn table(
    cases: Vec<(&'static str, Vec<u8>, &'static str)>,
    decode: impl Fn(&[u8]) -> Result<(), DecodeError>,
) -> String {
    let mut table = String::new();
    for (what, body, code) in cases {
        let Err(error) = decode(&body) else {
            panic!("{what} was read")
        };
        assert_eq!(error.code(), code, "{what}");
        let failure = Failure::of(&error);
        assert!(
            !failure.message.contains(char::is_control) && failure.message.len() < 400,
            "{failure}"
        );
        table.push_str(&[what, ": ", &failure.to_string(), "\n"].concat());
    }
    table
}

#[test]
fn a_forged_attempt_zero_is_read_as_the_first() {
    assert_eq!(decode_task(&with(TASK, "attempt", &json!(0))).unwrap().attempt, 1);
}

#[test]
fn no_part_of_an_envelope_passes_for_a_whole_one() {
    for golden in [EVENT, TASK] {
        let whole = golden.trim_end().as_bytes();
        for end in 0..whole.len() {
            let part = whole.get(..end).unwrap();
            assert!(
                decode_event(part).is_err() && decode_task(part).is_err(),
                "the first {end} bytes"
            );
        }
    }
}

#[test]
fn an_error_names_the_field_or_the_place() {
    let said = |body: &[u8]| decode_event(body).unwrap_err().to_string();
    assert!(said(&with(EVENT, "causationid", &json!("x"))).starts_with("`causationid` of the envelope: an id is"));
    assert_eq!(
        said(&doubled(EVENT, "sequence", "\"1\"")),
        "the envelope has the key `sequence` twice"
    );
    assert!(said(b"{\n  \"specversion\": 1\n}").starts_with("the envelope is malformed at line 2, column 18"));
    assert_eq!(said(b"{\"\xff"), "the body is not UTF-8, first at byte 2");
}

#[test]
fn a_time_before_our_era_is_no_time_of_an_envelope() {
    let ancient = json!("-0001-12-31T00:00:00Z");
    for field in ["enqueued_at", "first_enqueued_at", "not_before", "deadline"] {
        let error = decode_task(&with(TASK, field, &ancient)).unwrap_err();
        assert!(error.to_string().contains("before the year 0"), "{field}: {error}");
    }
    let error = decode_event(&with(EVENT, "time", &ancient)).unwrap_err();
    assert!(error.to_string().contains("before the year 0"), "{error}");
    let oldest = json!("0000-01-01T00:00:00Z");
    decode_task(&with(TASK, "not_before", &oldest)).unwrap();
    decode_task(&with(TASK, "not_before", &json!(null))).unwrap();
}

/// The golden text as a program that does not keep its order would write it.
fn reordered(golden: &str) -> Vec<u8> {
    edited(golden, |_| {})
}

fn with(golden: &str, key: &str, value: &Value) -> Vec<u8> {
    edited(golden, |object| {
        object.insert(key.into(), value.clone());
    })
}

fn without(golden: &str, key: &str) -> Vec<u8> {
    edited(golden, |object| {
        object.remove(key).unwrap();
    })
}

fn edited(golden: &str, edit: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Vec<u8> {
    let mut value: Value = serde_json::from_str(golden).unwrap();
    edit(value.as_object_mut().unwrap());
    serde_json::to_vec(&value).unwrap()
}

/// The golden text with a second value of `key` at its end.
fn doubled(golden: &str, key: &str, value: &str) -> Vec<u8> {
    let open = golden.trim_end().strip_suffix('}').unwrap();
    format!("{open},\"{key}\":{value}}}").into_bytes()
}
