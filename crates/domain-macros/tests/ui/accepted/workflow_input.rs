#![deny(warnings)]

use aftercommit_domain::contract::{Contract, OrganizationId, ProjectId, Scope, Tenant};
use aftercommit_domain::workflows::{IdReuse, WorkflowInput};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "collect-payment", version = 2, upcast = from_old)]
struct CollectPayment {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice_id: i64,
}

fn from_old(_: u16, payload: serde_json::Value) -> Result<serde_json::Value, aftercommit_domain::contract::UpcastError> {
    Ok(payload)
}

/// Other field names.
#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "provision", version = 1, once_ever)]
struct Provision {
    #[organization_id]
    account: i64,
    #[project_id]
    workspace: i64,
}

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(once_ever, name = "delete-user", version = 1)]
#[exempt(system, "a user may belong to no organization")]
struct DeleteUser {
    user_id: i64,
}

fn main() {
    let collect = CollectPayment { organization_id: 7.into(), project_id: 8.into(), invoice_id: 9 };
    assert_eq!(collect.tenant(), Tenant::project(7_i64, 8_i64));
    assert_eq!(CollectPayment::NAME.as_str(), "collect-payment");
    assert_eq!(CollectPayment::contract_name(), "collect-payment");
    assert_eq!((CollectPayment::VERSION, CollectPayment::REUSE), (2, IdReuse::AfterClose));
    assert_eq!(Provision { account: 7, workspace: 8 }.tenant(), Tenant::project(7_i64, 8_i64));
    assert_eq!(Provision::REUSE, IdReuse::OnceEver);
    assert_eq!((DeleteUser::SCOPE, DeleteUser::REUSE), (Scope::System, IdReuse::OnceEver));
    assert_eq!(DeleteUser { user_id: 1 }.tenant(), Tenant::System);
    assert_eq!((collect.invoice_id, DeleteUser { user_id: 1 }.user_id), (9, 1));
}
