use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

use aftercommit_domain::events::DomainEvent;

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(nam = "InvoicePaid", version = 1, aggregate = "invoice")]
struct InvoicePaid {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1, retries = 3)]
struct SendReceipt {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

fn main() {}
