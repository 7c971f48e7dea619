//! What stands on a server under our names: later builds, and whoever looks there, must find it under the same.

use std::time::Duration;

use aftercommit_domain::contract::{Cause, OrganizationId, ProjectId};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::workflows::{StartRequest, WorkflowInput};
use aftercommit_testkit::test_services;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use uuid::Uuid;

use crate::starter::{header, memo, search_attributes_of};
use crate::worker::drive::MEMO_ATTEMPT;
use crate::worker::hosted::{PUBLISHED, WAITING};
use crate::worker::steps::input_of_activity;
use crate::{payload, problem};

const GOLDEN: &str = include_str!("../tests/golden/on_the_server.json");

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "collect-payment", version = 1)]
struct CollectPayment {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[test]
fn what_stands_on_the_server_has_the_names_of_its_golden_file() {
    let input = CollectPayment {
        organization_id: 7.into(),
        project_id: 8.into(),
    };
    let id = MessageId::from(Uuid::from_u128(1));
    let request = StartRequest::new(&test_services().envelopes, id, 9, &input, &Cause::root()).unwrap();
    let cause = payload::of(&json!({ "cause": "of the run" }));
    let activity = input_of_activity(&json!({ "input": 1 }), &cause, Some(Duration::from_secs(30)));
    let activity: Vec<Value> = activity.iter().map(|part| payload::read(part).unwrap()).collect();
    let written = json!({
        "workflow_id": request.id,
        "memo": read(memo(&request).fields),
        "memo_of_a_run_that_continues": [MEMO_ATTEMPT],
        "header_of_a_signal": read(header(id).fields),
        "search_attributes": read(search_attributes_of(request.id.tenant()).indexed_fields),
        "input_of_an_activity_with_a_heartbeat_of_30_s": activity,
        "queries": [PUBLISHED, WAITING],
        "problem": problem::text("workflow.panicked", "in words"),
    });
    assert_eq!(serde_json::to_string_pretty(&written).unwrap(), GOLDEN.trim_end());
}

/// The values of fields, in the order of their names.
fn read(fields: impl IntoIterator<Item = (String, Payload)>) -> Map<String, Value> {
    let values = fields.into_iter();
    values
        .map(|(name, value)| (name, payload::read(&value).unwrap()))
        .collect()
}
