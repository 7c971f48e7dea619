#![deny(warnings)]

use aftercommit_domain::contract::{Contract, Scope, Tenant};
use aftercommit_domain::events::DomainEvent;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone, Copy, Serialize, Deserialize)]
struct AccountId(i64);

impl aftercommit_domain::contract::PayloadField for AccountId {}

impl From<AccountId> for aftercommit_domain::contract::OrganizationId {
    fn from(id: AccountId) -> Self {
        id.0.into()
    }
}

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "InvoicePaid", version = 3, aggregate = "invoice")]
struct InvoicePaid {
    #[organization_id]
    account: AccountId,
    #[project_id]
    workspace: Uuid,
    #[aggregate_id]
    invoice_id: i64,
}

/// A mark wins over a name.
#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "OrganizationJoined", version = 1, aggregate = "organization",)]
struct OrganizationJoined {
    #[organization_id]
    joining: i64,
    #[project_id]
    project: i64,
    #[aggregate_id]
    organization_id: i64,
}

fn main() {
    let paid = InvoicePaid { account: AccountId(7), workspace: Uuid::from_u128(8), invoice_id: 9 };
    assert_eq!(InvoicePaid::contract_name(), "InvoicePaid");
    assert_eq!(InvoicePaid::NAME.as_str(), "InvoicePaid");
    assert_eq!(InvoicePaid::VERSION, 3);
    assert_eq!((InvoicePaid::SCOPE, InvoicePaid::EXEMPTION), (Scope::Project, None));
    assert_eq!(paid.tenant(), Tenant::project(7_i64, Uuid::from_u128(8)));
    assert_eq!(paid.aggregate().to_string(), "invoice/9");
    let joined = OrganizationJoined { joining: 1, project: 2, organization_id: 3 };
    assert_eq!(joined.tenant(), Tenant::project(1_i64, 2_i64));
    assert_eq!(joined.aggregate().to_string(), "organization/3");
}
