use aftercommit_domain::contract::{Cause, CorrelationId, Json, Limits, WorkflowEnvelope};

use crate::host::info;

const GOLDEN: &str = include_str!("golden/workflow_envelope.json");

fn envelope() -> WorkflowEnvelope {
    WorkflowEnvelope {
        cause: Cause {
            correlation: Some(CorrelationId::new("req-1").unwrap()),
            ..Cause::root()
        },
        ..info().input
    }
}

#[test]
fn the_envelope_of_an_input_is_written_exactly_as_in_its_golden_file_and_reads_back_the_same() {
    assert_eq!(envelope().encode(), GOLDEN.trim_end());
    let read = WorkflowEnvelope::decode(GOLDEN.as_bytes(), &Limits::default());
    assert_eq!(read.unwrap(), envelope());
}

#[test]
fn an_envelope_over_the_limits_or_without_its_organization_is_refused() {
    let limits = Limits::default();
    let big = Limits {
        payload_bytes: 400_000,
        ..limits
    };
    let payload = Json::parse(format!("\"{}\"", "x".repeat(300_000)), &big).unwrap();
    let envelope = WorkflowEnvelope { payload, ..envelope() };
    assert!(envelope.encode_within(&limits).is_err());
    let orphan = GOLDEN.replacen("\"organization_id\":\"7\",", "", 1);
    assert!(WorkflowEnvelope::decode(orphan.as_bytes(), &limits).is_err());
}
