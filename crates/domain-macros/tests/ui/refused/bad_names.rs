use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::events::DomainEvent;
use serde::{Deserialize, Serialize};

use aftercommit_domain::tasks::Task;

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "invoice-paid", version = 1, aggregate = "invoice")]
struct EventName {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "InvoicePaid", version = 1, aggregate = "Invoice")]
struct AggregateType {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts.eu", name = "send", version = 1)]
struct Topic {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "Send", version = 1)]
struct TaskName {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

fn main() {}
