//! What a receiver of webhooks is told stays what it was.
//!
//! A file below `golden` is what receivers were once told of its kind of event. A field may be added to what is told, and
//! then to the file; none is ever changed or removed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use aftercommit_domain::reference::identity::Role;
use aftercommit_domain::reference::webhooks::{DeliverWebhook, WebhookEvent, WebhookEventKind, webhook_body};
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/webhook_bodies/golden")
}

fn id<T: From<uuid::Uuid>>(last: u128) -> T {
    uuid::Uuid::from_u128(0x0192_f0c1_0000_7000_8000_0000_0000_0000 | last).into()
}

fn one_of(kind: WebhookEventKind) -> WebhookEvent {
    match kind {
        WebhookEventKind::MemberJoined => WebhookEvent::MemberJoined {
            user_id: id(1),
            role: Role::Admin,
        },
        WebhookEventKind::InvitationExpired => WebhookEvent::InvitationExpired { invitation_id: id(3) },
        WebhookEventKind::ApiKeyCreated => WebhookEvent::ApiKeyCreated { api_key_id: id(2) },
        WebhookEventKind::ApiKeyRevoked => WebhookEvent::ApiKeyRevoked { api_key_id: id(2) },
        WebhookEventKind::FirstRecordReceived => WebhookEvent::FirstRecordReceived {},
        WebhookEventKind::IncidentOpened => WebhookEvent::IncidentOpened { incident_id: id(6) },
        WebhookEventKind::IncidentClosed => WebhookEvent::IncidentClosed { incident_id: id(6) },
        WebhookEventKind::ExportCompleted => WebhookEvent::ExportCompleted { export_id: id(9) },
        WebhookEventKind::ExportFailed => WebhookEvent::ExportFailed { export_id: id(9) },
        WebhookEventKind::ProjectDeleted => WebhookEvent::ProjectDeleted {},
    }
}

#[test]
fn what_is_told_of_every_kind_of_event_is_what_it_was() {
    for kind in WebhookEventKind::ALL {
        let task = DeliverWebhook {
            organization_id: id(0xa),
            project_id: id(0xb),
            webhook_id: id(5),
            event_id: id(6),
            occurred_at: "2026-01-08T00:00:00.000001Z".parse().unwrap(),
            event: one_of(kind),
        };
        let told: Value = serde_json::from_str(&webhook_body(&task).unwrap()).unwrap();
        let file = std::fs::read_to_string(folder().join(format!("{kind}.json"))).unwrap();
        assert_eq!(told, serde_json::from_str::<Value>(&file).unwrap(), "{kind}");
    }
}

#[test]
fn every_kind_of_event_has_its_file() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected = WebhookEventKind::ALL.map(|kind| format!("{kind}.json"));
    assert_eq!(files, BTreeSet::from(expected));
}
