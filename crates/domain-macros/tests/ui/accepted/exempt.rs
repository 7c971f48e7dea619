#![deny(warnings)]

use aftercommit_domain::contract::{Contract, OrganizationId, Scope, Tenant};
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "billing", name = "close-month", version = 1)]
#[exempt(organization, "a bill covers every project of an organization")]
struct CloseMonth {
    organization_id: OrganizationId,
}

/// Its organization is a fact, not its tenant.
#[derive(Serialize, Deserialize, Task)]
#[task(topic = "invitation-email", name = "send", version = 1)]
#[exempt(system, "who is invited belongs to no organization yet")]
struct SendInvitation {
    organization_id: OrganizationId,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "housekeeping", name = "tick", version = 1)]
#[exempt(system, "a schedule ticks for everyone",)]
struct Tick {}

fn main() {
    let close = CloseMonth { organization_id: 7.into() };
    assert_eq!(close.tenant(), Tenant::organization(7_i64));
    assert_eq!(CloseMonth::SCOPE, Scope::Organization);
    assert_eq!(CloseMonth::EXEMPTION, Some("a bill covers every project of an organization"));
    let send = SendInvitation { organization_id: 7.into() };
    assert_eq!((send.tenant(), SendInvitation::SCOPE), (Tenant::System, Scope::System));
    assert_eq!(Tick {}.tenant(), Tenant::System);
    assert_eq!(serde_json::to_string(&Tick {}).unwrap(), "{}");
}
