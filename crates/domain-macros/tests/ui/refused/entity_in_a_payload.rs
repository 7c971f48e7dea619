use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

/// An entity: it can change after the message was written.
#[derive(Serialize, Deserialize)]
struct Invoice {
    id: i64,
    paid: bool,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
struct SendReceipt {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice: Invoice,
    others: Vec<Invoice>,
}

fn main() {}
