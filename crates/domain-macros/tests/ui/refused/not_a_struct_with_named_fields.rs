use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
enum SendReceipt {
    ByMail { organization_id: OrganizationId, project_id: ProjectId },
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
struct Tuple(OrganizationId, ProjectId);

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
#[exempt(system, "a tick")]
struct Tick;

fn main() {}
