#![deny(warnings)]

use std::time::Duration;

use aftercommit_domain::contract::{BoundedText, Contract, OrderKey, OrganizationId, ProjectId};
use aftercommit_domain::tasks::{RetryPolicy, Task};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1, order_key = invoice, timeout_secs = 30, max_attempts = 5)]
struct SendReceipt {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice: BoundedText<500>,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "void", version = 1)]
struct VoidReceipt {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

fn receipt(invoice: &str) -> SendReceipt {
    SendReceipt { organization_id: 1.into(), project_id: 2.into(), invoice: BoundedText::new(invoice).unwrap() }
}

fn main() {
    assert_eq!(SendReceipt::contract_name(), "receipts/send");
    assert_eq!((SendReceipt::TOPIC.as_str(), SendReceipt::NAME.as_str()), ("receipts", "send"));
    assert_eq!(SendReceipt::timeout(), Some(Duration::from_secs(30)));
    assert_eq!(SendReceipt::retry_policy(), RetryPolicy { max_attempts: 5, ..RetryPolicy::default() });
    assert_eq!(receipt("9").order_key(), Some(OrderKey::new("9").unwrap()));
    // Text that is no key still keeps its order.
    let long = "x".repeat(300);
    assert_eq!(receipt(&long).order_key(), receipt(&long).order_key());
    assert!(receipt(&long).order_key().is_some());
    assert_ne!(receipt(&long).order_key(), receipt(&"x".repeat(301)).order_key());

    let void = VoidReceipt { organization_id: 1.into(), project_id: 2.into() };
    assert_eq!(void.order_key(), None);
    assert_eq!((VoidReceipt::timeout(), VoidReceipt::retry_policy()), (None, RetryPolicy::default()));
}
