#![deny(warnings)]

use aftercommit_domain::contract::{BoundedText, OrganizationId, Payload, PayloadField, ProjectId, Sealed, StorageKey};
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Payload)]
enum Reason {
    Reversed,
    Refunded { amount: i64, note: Option<BoundedText<200>> },
    Replaced(i64, Vec<StorageKey>),
    Several(Vec<Self>),
}

#[derive(Serialize, Deserialize, Payload)]
struct Pair<T, const N: usize>(Option<T>, BoundedText<N>);

#[derive(Serialize, Deserialize, Payload)]
struct Marker;

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "void", version = 1)]
struct VoidReceipt {
    organization_id: OrganizationId,
    project_id: ProjectId,
    reason: Reason,
    pair: Pair<i64, 20>,
    marker: Marker,
    address: Sealed<String>,
    digest: [u8; 4],
}

fn is_payload_field<T: PayloadField>() {}

fn main() {
    is_payload_field::<Pair<Reason, 3>>();
    let reasons = Reason::Several(vec![
        Reason::Reversed,
        Reason::Refunded { amount: 1, note: None },
        Reason::Replaced(2, Vec::new()),
    ]);
    let task = VoidReceipt {
        organization_id: 1.into(),
        project_id: 2.into(),
        reason: reasons,
        pair: Pair(Some(1), BoundedText::new("x").unwrap()),
        marker: Marker,
        address: Sealed::new("someone@example.com".into()),
        digest: [0; 4],
    };
    assert_eq!(aftercommit_domain::contract::Contract::tenant(&task).to_string(), "1/2");
}
