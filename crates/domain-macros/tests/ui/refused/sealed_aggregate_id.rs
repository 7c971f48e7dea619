use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::events::DomainEvent;
use serde::{Deserialize, Serialize};

use aftercommit_domain::contract::Sealed;

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "InvoicePaid", version = 1, aggregate = "invoice")]
struct InvoicePaid {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    number: Sealed<i64>,
}

fn main() {}
