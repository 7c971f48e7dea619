//! What is written is byte for byte what the golden files say, and reads back the same.

use aftercommit_domain::contract::{
    AggregateRef, AggregateType, Cause, CorrelationId, EventEnvelope, EventName, Json, Limits, OrderKey, TaskEnvelope,
    TaskName, Tenant, TopicName, TraceContext,
};
use aftercommit_domain::events::{OutboxMessage, dispatch_envelope};
use aftercommit_domain::ids::MessageId;

use crate::{EVENT, EVENT_MINIMAL, TASK, TASK_MINIMAL, TASK_OF_SLOT, decode_event, decode_task};

#[test]
fn an_event_is_written_exactly_as_in_its_golden_file_and_reads_back_the_same() {
    for (event, golden) in [(event(), EVENT), (minimal_event(), EVENT_MINIMAL)] {
        assert_eq!(event.encode(), golden.trim_end());
        assert_eq!(decode_event(golden.as_bytes()).unwrap(), event);
    }
}

#[test]
fn a_task_is_written_exactly_as_in_its_golden_file_and_reads_back_the_same() {
    for (task, golden) in [
        (task(), TASK),
        (minimal_task(), TASK_MINIMAL),
        (task_of_slot(), TASK_OF_SLOT),
    ] {
        assert_eq!(task.encode(), golden.trim_end());
        assert_eq!(decode_task(golden.as_bytes()).unwrap(), task);
    }
}

#[test]
fn events_of_one_aggregate_and_organization_have_one_order_whether_they_name_a_project_or_not() {
    let of = |tenant| EventEnvelope { tenant, ..event() };
    let order = |event: EventEnvelope| {
        let carrier = dispatch_envelope(&event, &Limits::default()).unwrap();
        (OutboxMessage::Event(event).ordering(), carrier.ordering())
    };
    let organization = order(of(Tenant::organization(7)));
    assert_eq!(order(of(Tenant::project(7, 8))), organization);
    assert_ne!(order(of(Tenant::organization(8))), organization);
    // Other tasks of two projects do not wait for each other.
    let of_project = |id: i64| TaskEnvelope {
        tenant: Tenant::project(7, id),
        order_key: Some(OrderKey::new("a").unwrap()),
        ..task()
    };
    assert_ne!(of_project(8).ordering(), of_project(9).ordering());
}

#[test]
fn payloads_do_not_show_in_debug_output() {
    let shown = format!("{:?} {:?}", event(), task());
    assert!(!shown.contains("invoice_id") && shown.contains("bytes)"), "{shown}");
}

fn event() -> EventEnvelope {
    EventEnvelope {
        id: id(),
        name: EventName::constant("InvoicePaid"),
        version: 2,
        source: "/shop".into(),
        aggregate: AggregateRef::new(AggregateType::constant("invoice"), 9),
        occurred_at: "2026-01-02T03:04:05.123456Z".parse().unwrap(),
        tenant: Tenant::project(7, 8),
        sequence: Some(42),
        cause: cause(),
        payload: payload(r#"{"invoice_id":9,"amount":12345678901234567890123,"note":"paid — «ja»"}"#),
    }
}

fn minimal_event() -> EventEnvelope {
    EventEnvelope {
        id: id(),
        name: EventName::constant("UserDeletionRequested"),
        version: 1,
        source: "/shop".into(),
        aggregate: AggregateRef::new(AggregateType::constant("user"), "a/b"),
        occurred_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        tenant: Tenant::System,
        sequence: None,
        cause: Cause::root(),
        payload: payload("{}"),
    }
}

fn task() -> TaskEnvelope {
    TaskEnvelope {
        id: id(),
        topic: TopicName::constant("receipts"),
        task: TaskName::constant("send"),
        version: 3,
        tenant: Tenant::project(7, 8),
        attempt: 4,
        enqueued_at: "2026-01-02T03:05:00Z".parse().unwrap(),
        first_enqueued_at: "2026-01-02T03:04:05.123456Z".parse().unwrap(),
        not_before: Some("2026-01-02T04:00:00Z".parse().unwrap()),
        deadline: Some("2026-01-03T00:00:00Z".parse().unwrap()),
        order_key: Some(OrderKey::constant("invoice/9")),
        coalescing: None,
        slot: None,
        cause: cause(),
        payload: payload(r#"{"invoice_id":9,"amount":12345678901234567890123,"note":"paid — «ja»"}"#),
    }
}

fn minimal_task() -> TaskEnvelope {
    TaskEnvelope {
        version: 1,
        tenant: Tenant::organization(7),
        attempt: 1,
        enqueued_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        first_enqueued_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        not_before: None,
        deadline: None,
        order_key: None,
        coalescing: None,
        slot: None,
        cause: Cause::root(),
        payload: payload("{}"),
        ..task()
    }
}

fn task_of_slot() -> TaskEnvelope {
    TaskEnvelope {
        tenant: Tenant::System,
        slot: Some("2026-01-02T03:00:00Z".parse().unwrap()),
        ..minimal_task()
    }
}

fn id() -> MessageId {
    "0192f0c1-7a3b-7c4d-8e5f-0123456789ab".parse().unwrap()
}

fn cause() -> Cause {
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    Cause {
        correlation: Some(CorrelationId::new("request-1").unwrap()),
        causation: Some("0192f0c1-7a3b-7c4d-8e5f-0123456789aa".parse().unwrap()),
        trace: Some(TraceContext::parse(traceparent, Some("shop=1")).unwrap()),
    }
}

fn payload(text: &str) -> Json {
    Json::parse(text, &Limits::default()).unwrap()
}
