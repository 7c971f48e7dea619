//! Every released payload of the reference product decodes for ever.
//!
//! A file below `tests/golden/reference` is what some producer once wrote; it is never changed. A newer version gets a
//! file of its own, and the contract an upcaster that reads the older one.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use aftercommit_domain::contract::{
    BoundedText, Codec, Contract, Json, Limits, OrganizationId, ProjectId, SealContext, SealError, Sealed, SealedBytes,
    Sealer, StorageKey, Tenant,
};
use aftercommit_domain::effects::EmailAddress;
use aftercommit_domain::failure::Classified as _;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::billing::ReportOverage;
use aftercommit_domain::reference::digests::{DigestGenerated, RunDigest, TriggerWeeklyDigests};
use aftercommit_domain::reference::exports::{
    ExportCancelled, ExportCompleted, ExportFailed, PurgeExports, SweepExport,
};
use aftercommit_domain::reference::identity::{
    ApiKeyCreated, ApiKeyRevoked, MagicLinkEmailRequested, MemberJoined, MemberLeft, MemberRestored, Role,
    SendMagicLinkEmail, UserDeleted, UserDeletionRequested, UserSignedUp,
};
use aftercommit_domain::reference::incidents::{
    CheckIncident, EvaluateRecord, IncidentClosed, IncidentOpened, SweepOpenIncidents,
};
use aftercommit_domain::reference::invitations::{
    ExpireInvitation, InvitationCreated, InvitationEmailRequested, InvitationExpired, InvitationProlonged,
    SendInvitationEmail,
};
use aftercommit_domain::reference::notifications::{
    CreateNotification, DeleteNotifications, IncidentChange, NotificationCreated, NotificationKind,
    RequestDigestNotifications, RequestIncidentNotifications, SendNotificationEmail,
};
use aftercommit_domain::reference::organizations::OrganizationCreated;
use aftercommit_domain::reference::projects::{
    CheckFirstRecord, FirstRecordReceived, ProjectCreated, ProjectDeleted, ProvisionProject,
};
use aftercommit_domain::reference::records::{
    FanOutRecords, PurgeRecords, RecordSettled, RecordsIngested, SettleRecord,
};
use aftercommit_domain::reference::search::{PurgeSearchIndex, RefreshSearchIndex};
use aftercommit_domain::reference::usage::{RecordUsage, UsagePeriodUpdated};
use aftercommit_domain::reference::webhooks::{
    DeliverWebhook, DisableReason, FanOutWebhooks, WebhookEndpointCreated, WebhookEndpointDeleted,
    WebhookEndpointDisabled, WebhookEvent,
};
use aftercommit_domain::reference::{catalogue, tasks};
use aftercommit_domain::time::Timestamp;

/// Seals nothing, so that a golden file can be read by people and never depends on a key.
struct Open;

impl Sealer for Open {
    fn seal(&self, clear: &[u8], _: &SealContext) -> Result<SealedBytes, SealError> {
        Ok(SealedBytes {
            key_id: "golden".into(),
            bytes: clear.to_vec(),
        })
    }

    fn open(&self, sealed: &SealedBytes, _: &SealContext) -> Result<Vec<u8>, SealError> {
        Ok(sealed.bytes.clone())
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reference")
}

fn id<T: From<uuid::Uuid>>(last: u128) -> T {
    uuid::Uuid::from_u128(0x0192_f0c1_0000_7000_8000_0000_0000_0000 | last).into()
}

fn organization_id() -> OrganizationId {
    id(0xa)
}

fn project_id() -> ProjectId {
    id(0xb)
}

fn month() -> chrono::NaiveDate {
    "2026-11-01".parse().unwrap()
}

fn expires_at() -> Timestamp {
    "2026-01-08T00:00:00.000001Z".parse().unwrap()
}

/// Reads the file of a version as it would come in an envelope, and compares it with what it means today. Writing the
/// newest version gives the same payload again.
fn check<C: Contract + PartialEq + std::fmt::Debug>(version: u16, means: &C) {
    let codec = Codec::new(Arc::new(Open), Limits::default());
    let name = C::contract_name().replace('/', ".");
    let text = std::fs::read_to_string(folder().join(format!("{name}.v{version}.json"))).unwrap();
    let payload = Json::parse(text, codec.limits()).unwrap();
    let message: MessageId = id(0xff);
    let read: C = codec.decode(&payload, version, &means.tenant(), message).unwrap();
    assert_eq!(&read, means, "{name}");
    if version == C::VERSION {
        let written = codec.encode(means, message).unwrap();
        let value = |json: &Json| json.to::<serde_json::Value>().unwrap();
        assert_eq!(value(&written), value(&payload), "{name}");
    }
}

macro_rules! of_project {
    ($contract:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $contract { organization_id: organization_id(), project_id: project_id(), $($field: $value),* }
    };
}

#[test]
fn every_event_decodes() {
    check(1, &of_project!(OrganizationCreated {}));
    check(1, &of_project!(UserSignedUp { user_id: id(1) }));
    check(
        1,
        &of_project!(MemberJoined {
            user_id: id(1),
            role: Role::Admin
        }),
    );
    check(1, &of_project!(ApiKeyCreated { api_key_id: id(2) }));
    check(1, &of_project!(ApiKeyRevoked { api_key_id: id(2) }));
    check(1, &of_project!(ProjectCreated {}));
    check(1, &of_project!(ProjectDeleted {}));
    check(
        1,
        &of_project!(InvitationCreated {
            invitation_id: id(3),
            expires_at: expires_at()
        }),
    );
    check(1, &of_project!(InvitationExpired { invitation_id: id(3) }));
    let prolonged = of_project!(InvitationProlonged {
        invitation_id: id(3),
        expires_at: expires_at()
    });
    check(1, &prolonged);
    check(1, &of_project!(FirstRecordReceived {}));
    check(1, &of_project!(RecordSettled { record_id: id(5) }));
    check(1, &of_project!(UsagePeriodUpdated { month: month() }));
    check(1, &of_project!(IncidentOpened { incident_id: id(6) }));
    check(1, &of_project!(IncidentClosed { incident_id: id(6) }));
    check(1, &of_project!(NotificationCreated { notification_id: id(7) }));
    check(1, &of_project!(DigestGenerated { digest_id: id(8) }));
    check(1, &of_project!(ExportCompleted { export_id: id(9) }));
    check(1, &of_project!(ExportFailed { export_id: id(9) }));
    check(1, &of_project!(ExportCancelled { export_id: id(9) }));
    let batch = StorageKey::new("records/acme/main/batch-1").unwrap();
    let ingested = of_project!(RecordsIngested {
        record_count: 2,
        batch: batch
    });
    check(1, &ingested);
    check(2, &ingested);
    check(1, &of_project!(WebhookEndpointCreated { webhook_id: id(5) }));
    check(1, &of_project!(WebhookEndpointDeleted { webhook_id: id(5) }));
    check(
        1,
        &of_project!(WebhookEndpointDisabled {
            webhook_id: id(5),
            reason: DisableReason::Failing
        }),
    );
    let requested = InvitationEmailRequested {
        organization_id: organization_id(),
        invitation_id: id(3),
    };
    check(1, &requested);
    let requested = MagicLinkEmailRequested {
        sign_in_link_id: id(4),
        email: Sealed::new(EmailAddress::new("ada@example.com").unwrap()),
        magic_link_url: Sealed::new("https://example.com/sign-in#token".to_owned()),
        expires_at: expires_at(),
    };
    check(1, &requested);
}

#[test]
fn every_event_of_a_person_decodes() {
    let (organization_id, user_id) = (organization_id(), id(1));
    macro_rules! of_person {
        ($contract:ident) => {
            $contract {
                organization_id: organization_id.clone(),
                user_id,
            }
        };
    }
    check(1, &of_person!(MemberLeft));
    check(1, &of_person!(MemberRestored));
    check(1, &of_person!(UserDeletionRequested));
    check(1, &of_person!(UserDeleted));
}

#[test]
fn every_task_decodes() {
    check(1, &of_project!(ExpireInvitation { invitation_id: id(3) }));
    check(1, &of_project!(ProvisionProject {}));
    check(1, &of_project!(CheckFirstRecord {}));
    check(1, &of_project!(PurgeRecords {}));
    check(1, &of_project!(PurgeExports {}));
    check(1, &of_project!(SweepExport { export_id: id(9) }));
    let batch = StorageKey::new("records/a/b/c").unwrap();
    check(1, &of_project!(FanOutRecords { batch: batch }));
    check(1, &of_project!(SettleRecord { record_id: id(5) }));
    check(1, &of_project!(RefreshSearchIndex { record_id: id(5) }));
    check(1, &of_project!(PurgeSearchIndex {}));
    check(1, &of_project!(ReportOverage { month: month() }));
    check(1, &of_project!(EvaluateRecord { record_id: id(5) }));
    check(1, &SweepOpenIncidents {});
    check(1, &of_project!(CheckIncident { incident_id: id(6) }));
    let request = of_project!(RequestIncidentNotifications {
        incident_id: id(6),
        change: IncidentChange::Opened
    });
    check(1, &request);
    check(1, &of_project!(RequestDigestNotifications { digest_id: id(8) }));
    let subject: uuid::Uuid = id(6);
    let create = of_project!(CreateNotification {
        user_id: id(1),
        kind: NotificationKind::IncidentOpened,
        subject_id: subject,
        idempotency_key: BoundedText::new(NotificationKind::IncidentOpened.key_of(subject)).unwrap(),
    });
    check(1, &create);
    check(1, &of_project!(DeleteNotifications {}));
    check(1, &of_project!(SendNotificationEmail { notification_id: id(7) }));
    check(1, &TriggerWeeklyDigests {});
    check(1, &of_project!(RunDigest { until: expires_at() }));
    check(
        1,
        &of_project!(RecordUsage {
            batch: StorageKey::new("records/a/b/c").unwrap(),
            records: 3,
        }),
    );
    check(
        1,
        &of_project!(FanOutWebhooks {
            event_id: id(6),
            occurred_at: expires_at(),
            event: WebhookEvent::MemberJoined {
                user_id: id(1),
                role: Role::Admin
            },
        }),
    );
    check(
        1,
        &of_project!(DeliverWebhook {
            webhook_id: id(5),
            event_id: id(6),
            occurred_at: expires_at(),
            event: WebhookEvent::InvitationExpired { invitation_id: id(3) },
        }),
    );
    let send = SendInvitationEmail {
        organization_id: organization_id(),
        invitation_id: id(3),
    };
    check(1, &send);
    let send = SendMagicLinkEmail {
        sign_in_link_id: id(4),
        email: Sealed::new(EmailAddress::new("ada@example.com").unwrap()),
        magic_link_url: Sealed::new("https://example.com/sign-in#token".to_owned()),
        expires_at: expires_at(),
    };
    check(1, &send);
}

#[test]
fn an_older_payload_that_its_upcaster_cannot_read_is_refused_with_both_versions() {
    let codec = Codec::new(Arc::new(Open), Limits::default());
    let tenant = Tenant::project(organization_id(), project_id());
    for (payload, expected) in [
        (
            "3",
            "RecordsIngested version 1 cannot be read, this build knows version 2: version 1 cannot be read: it is no object",
        ),
        (
            r#"{"record_ids": 2}"#,
            "RecordsIngested version 1 cannot be read, this build knows version 2: version 1 cannot be read: it has no list \
             `record_ids`",
        ),
    ] {
        let payload = Json::parse(payload, codec.limits()).unwrap();
        let error = codec
            .decode::<RecordsIngested>(&payload, 1, &tenant, id(0xff))
            .unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            ("version.unsupported", expected)
        );
    }
}

#[test]
fn two_fields_of_one_name_in_an_older_payload_are_refused_like_in_a_new_one() {
    let codec = Codec::new(Arc::new(Open), Limits::default());
    let tenant = Tenant::project(organization_id(), project_id());
    for (version, field) in [(1, "\"record_ids\": []"), (2, "\"record_count\": 1")] {
        let text = format!(
            "{{\"organization_id\": \"{}\", \"project_id\": \"{}\", \"batch\": \"b\", {field}, {field}}}",
            organization_id(),
            project_id()
        );
        let payload = Json::parse(text, codec.limits()).unwrap();
        let error = codec
            .decode::<RecordsIngested>(&payload, version, &tenant, id(0xff))
            .unwrap_err();
        assert_eq!(error.code(), "payload.malformed");
        assert!(error.to_string().contains("duplicate field `record_"), "{error}");
    }
}

#[test]
fn every_version_of_every_contract_has_its_file() {
    let mut expected = BTreeSet::new();
    for event in catalogue().events() {
        expected.extend((1..=event.version).map(|version| format!("{}.v{version}.json", event.name)));
    }
    for task in tasks() {
        expected.extend((1..=task.version).map(|version| format!("{}.{}.v{version}.json", task.topic, task.task)));
    }
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, expected);
}
