use aftercommit_domain::contract::OrganizationId;
use aftercommit_domain::workflows::WorkflowInput;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "collect-payment", version = 1)]
struct CollectPayment {
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "provision", version = 1)]
struct Provision {
    organization_id: OrganizationId,
}

fn main() {}
