use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
struct SendReceipt {
    #[organization_id]
    buyer: i64,
    #[organization_id]
    seller: i64,
    #[project_id]
    workspace: i64,
}

fn main() {}
