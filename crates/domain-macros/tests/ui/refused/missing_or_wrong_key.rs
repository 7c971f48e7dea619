use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Task)]
struct NoAttribute {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send")]
struct NoVersion {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 0)]
struct VersionZero {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = "1")]
struct VersionAsText {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", topic = "invoices", name = "send", version = 1)]
struct TwoTopics {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1, order_key = invoice)]
struct NoSuchField {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1, timeout_secs = 0)]
struct NoTime {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

fn main() {}
