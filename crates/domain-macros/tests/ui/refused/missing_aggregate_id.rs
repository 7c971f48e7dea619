use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::events::DomainEvent;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "InvoicePaid", version = 1, aggregate = "invoice")]
struct InvoicePaid {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice_id: i64,
}

fn main() {}
