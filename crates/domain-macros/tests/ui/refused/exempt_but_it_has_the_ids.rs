use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
#[exempt(organization, "it has one, though")]
struct HasProject {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
#[exempt(organization, "it has none, though")]
struct HasNoOrganization {
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
#[exempt(system, "it marks one, though")]
struct MarksOrganization {
    #[organization_id]
    account: i64,
}

fn main() {}
