use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

fn upcast(payload: &str) -> String {
    payload.to_owned()
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 2, upcast = upcast)]
struct SendReceipt {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

fn main() {}
