use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
struct SendReceipt {
    project_id: ProjectId,
    invoice_id: i64,
}

fn main() {}
