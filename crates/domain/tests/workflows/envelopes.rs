use aftercommit_domain::contract::{Json, Limits, WorkflowEnvelope};

use crate::host::info;

const GOLDEN: &str = r#"{"id":"00000000-0000-0000-0000-000000000001","workflow":"sample","version":1,"organization_id":"7","project_id":"8","payload":{"organization_id":"7","project_id":"8"}}"#;

#[test]
fn the_envelope_of_an_input_is_written_and_read_as_ever() {
    let envelope = info().input;
    assert_eq!(envelope.encode(), GOLDEN);
    assert_eq!(
        WorkflowEnvelope::decode(GOLDEN.as_bytes(), &Limits::default()).unwrap(),
        envelope
    );
}

#[test]
fn an_envelope_over_the_limits_or_without_its_organization_is_refused() {
    let limits = Limits::default();
    let mut envelope = info().input;
    let big = Limits {
        payload_bytes: 400_000,
        ..limits
    };
    envelope.payload = Json::parse(format!("\"{}\"", "x".repeat(300_000)), &big).unwrap();
    assert!(envelope.encode_within(&limits).is_err());
    let orphan = GOLDEN.replace(
        r#""organization_id":"7","project_id":"8","payload"#,
        r#""project_id":"8","payload"#,
    );
    assert!(WorkflowEnvelope::decode(orphan.as_bytes(), &limits).is_err());
}
