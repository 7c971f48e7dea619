#![deny(warnings)]

use aftercommit_domain::contract::{Contract, OrganizationId, ProjectId, UpcastError};
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

mod versions {
    use super::*;

    pub(crate) fn upcast(from: u16, mut payload: Value) -> Result<Value, UpcastError> {
        payload["was"] = json!(from);
        Ok(payload)
    }
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 2, upcast = versions::upcast)]
struct SendReceipt {
    organization_id: OrganizationId,
    project_id: ProjectId,
    was: u16,
}

fn main() {
    assert_eq!(SendReceipt::upcast(1, json!({})), Ok(json!({ "was": 1 })));
}
