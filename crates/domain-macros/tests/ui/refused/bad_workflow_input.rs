use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::workflows::WorkflowInput;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "CollectPayment", version = 1)]
struct NamedAsAType {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "collect-payment", version = 1, once_ever = true)]
struct ValuedFlag {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "collect-payment", version = 1, timeout_secs = 3)]
struct UnknownKey {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "collect-payment")]
struct WithoutVersion {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "collect-payment", version = 1)]
struct WithFreeText {
    organization_id: OrganizationId,
    project_id: ProjectId,
    note: String,
}

fn main() {}
