//! Payloads from a typed contract to JSON and back: sealing, tenants, versions and limits.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]
#![expect(clippy::struct_field_names, reason = "contracts carry ids")]

mod reading;
mod sealing;
#[path = "../support/test_sealer.rs"]
mod test_sealer;

use std::sync::Arc;

use aftercommit_domain::contract::{
    BoundedText, Codec, DecodeError, Json, Limits, OrganizationId, Payload, ProjectId, Sealed, UpcastError,
};
use aftercommit_domain::events::DomainEvent;
use aftercommit_domain::failure::Classified;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use test_sealer::TestSealer;
use uuid::Uuid;

const SECRET: &str = "https://shop.example/enter?token=correct-horse-battery-staple";

/// In version 1 the user stood in `user`; until version 2 there was no channel.
#[derive(Debug, PartialEq, Serialize, Deserialize, Task)]
#[task(topic = "magic-link-email", name = "send", version = 3, upcast = upcast)]
struct SendMagicLink {
    organization_id: OrganizationId,
    project_id: ProjectId,
    user_id: i64,
    channel: Channel,
    link: Sealed<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Payload)]
#[serde(rename_all = "kebab-case")]
enum Channel {
    Mail,
    Message {
        to: Sealed<String>,
        note: Option<BoundedText<40>>,
    },
}

fn upcast(from: u16, mut payload: Value) -> Result<Value, UpcastError> {
    let refused = |reason: &str| UpcastError {
        from,
        reason: reason.into(),
    };
    let fields = payload.as_object_mut().ok_or_else(|| refused("it is no object"))?;
    match from {
        1 => {
            let user = fields.remove("user").ok_or_else(|| refused("it has no user"))?;
            fields.insert("user_id".into(), user);
        }
        2 => {
            fields.insert("channel".into(), json!("mail"));
        }
        _ => return Err(refused("there was no such version")),
    }
    Ok(payload)
}

/// The same fields under another contract.
#[derive(Debug, Serialize, Deserialize, Task)]
#[task(topic = "magic-link-email", name = "resend", version = 3)]
struct ResendMagicLink {
    organization_id: OrganizationId,
    project_id: ProjectId,
    link: Sealed<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(name = "InvoicePaid", version = 1, aggregate = "invoice")]
struct InvoicePaid {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    invoice_id: i64,
}

#[derive(Debug, Serialize, Deserialize, DomainEvent)]
#[event(name = "BillClosed", version = 1, aggregate = "organization")]
#[exempt(organization, "a bill covers every project of an organization")]
struct BillClosed {
    #[aggregate_id]
    organization_id: OrganizationId,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(topic = "housekeeping", name = "tick", version = 1)]
#[exempt(system, "a schedule ticks for everyone")]
struct Tick {}

fn send_magic_link(channel: Channel) -> SendMagicLink {
    SendMagicLink {
        organization_id: 7.into(),
        project_id: 8.into(),
        user_id: 9,
        channel,
        link: Sealed::new(SECRET.into()),
    }
}

impl ResendMagicLink {
    fn of(task: &SendMagicLink) -> Self {
        Self {
            organization_id: task.organization_id.clone(),
            project_id: task.project_id.clone(),
            link: task.link.clone(),
        }
    }
}

fn invoice_paid() -> InvoicePaid {
    InvoicePaid {
        organization_id: 7.into(),
        project_id: 8.into(),
        invoice_id: 9,
    }
}

fn codec() -> Codec {
    Codec::new(Arc::new(TestSealer::new("k1")), Limits::default())
}

fn id(n: u128) -> MessageId {
    Uuid::from_u128(n).into()
}

fn code_of<T>(result: Result<T, DecodeError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "read")
}

fn edited(payload: &Json, edit: impl FnOnce(&mut Value)) -> Json {
    let mut value: Value = payload.to().unwrap();
    edit(&mut value);
    Json::parse(value.to_string(), &Limits::default()).unwrap()
}
