use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
#[exempt(system)]
struct NoReason {
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
#[exempt(system, "  ")]
struct BlankReason {
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
#[exempt(organization, because_i_say_so)]
struct ReasonIsNoText {
    organization_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
#[exempt]
struct Bare {
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
#[exempt(tenant, "there is none")]
struct UnknownKind {
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
#[exempt(system, "once")]
#[exempt(system, "twice")]
struct Twice {
    invoice_id: i64,
}

fn main() {}
