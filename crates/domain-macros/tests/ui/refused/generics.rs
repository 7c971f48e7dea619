use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
struct SendReceipt<T> {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice: T,
}

fn main() {}
