//! Secrets leave the process sealed only, and open only where they belong.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use aftercommit_domain::contract::{
    BoundedText, Codec, Contract, Limits, OrganizationId, PayloadField, ProjectId, SealContext, SealError, Sealed,
    SealedBytes, Sealer, Tenant, is_scope_active,
};
use aftercommit_domain::failure::{Classified, ErrorClass};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::Task;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Channel, ResendMagicLink, SECRET, SendMagicLink, codec, edited, id, send_magic_link};

#[test]
fn a_sealed_value_comes_back_as_it_was() {
    let codec = codec();
    for channel in [
        Channel::Mail,
        Channel::Message {
            to: Sealed::new("+49 30 901820".into()),
            note: Some(BoundedText::new("at night").unwrap()),
        },
    ] {
        let task = send_magic_link(channel);
        let payload = codec.encode(&task, id(1)).unwrap();
        let read: SendMagicLink = codec.decode(&payload, 3, &task.tenant(), id(1)).unwrap();
        assert_eq!(read, task);
        assert_eq!(read.link.expose(), SECRET);
    }
}

#[test]
fn a_secret_is_nowhere_in_what_is_stored_or_shown() {
    let task = send_magic_link(Channel::Message {
        to: Sealed::new(SECRET.into()),
        note: None,
    });
    let payload = codec().encode(&task, id(1)).unwrap();
    let seen = format!("{} {payload:?} {task:?} {}", payload.as_str(), task.link);
    let hex = |upper: bool| -> String {
        let digits = SECRET.bytes().map(|byte| {
            if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            }
        });
        digits.collect()
    };
    // A piece in the middle of a longer text has another base64, depending on where it begins.
    let shifted = (0..3).map(|shift| {
        let encoded = STANDARD.encode(format!("{}{SECRET}", "x".repeat(shift)));
        encoded.get(4..encoded.len() - 4).unwrap().to_owned()
    });
    let forms = [SECRET.to_owned(), URL_SAFE_NO_PAD.encode(SECRET), hex(false), hex(true)];
    for form in forms.into_iter().chain(shifted) {
        assert!(!seen.contains(&form), "{form}");
    }
    assert!(!seen.contains("correct-horse"));
}

#[test]
fn one_value_sealed_twice_differs() {
    let (codec, task) = (codec(), send_magic_link(Channel::Mail));
    assert_ne!(codec.encode(&task, id(1)).unwrap(), codec.encode(&task, id(1)).unwrap());
}

#[test]
fn a_sealed_value_moved_to_another_tenant_contract_or_message_does_not_open() {
    let (codec, task) = (codec(), send_magic_link(Channel::Mail));
    let payload = codec.encode(&task, id(1)).unwrap();
    let moved = |tenant: &Tenant, message: MessageId| {
        codec
            .decode::<SendMagicLink>(&payload, 3, tenant, message)
            .unwrap_err()
            .code()
    };
    assert_eq!(moved(&Tenant::project(7, 9), id(1)), "crypto.does_not_open");
    assert_eq!(moved(&Tenant::project(6, 8), id(1)), "crypto.does_not_open");
    assert_eq!(moved(&task.tenant(), id(2)), "crypto.does_not_open");
    let of_another = codec.decode::<ResendMagicLink>(&payload, 3, &task.tenant(), id(1));
    assert_eq!(of_another.unwrap_err().code(), "crypto.does_not_open");
}

#[test]
fn a_sealed_value_that_is_changed_or_of_another_key_has_its_own_code() {
    let (codec, task) = (codec(), send_magic_link(Channel::Mail));
    let payload = codec.encode(&task, id(1)).unwrap();
    let document: Value = payload.to().unwrap();
    let sealed = document["link"]["sealed"].as_str().unwrap();
    let changed_byte = sealed.replacen(&sealed[30..31], if &sealed[30..31] == "A" { "B" } else { "A" }, 1);
    for (what, link, code) in [
        (
            "a changed byte",
            json!({ "sealed": changed_byte }),
            "crypto.does_not_open",
        ),
        ("cut short", json!({ "sealed": &sealed[..20] }), "crypto.malformed"),
        (
            "an unknown key",
            json!({ "sealed": sealed.replacen("k1:", "k0:", 1) }),
            "crypto.unknown_key",
        ),
        (
            "no key",
            json!({ "sealed": sealed.replacen("k1:", "", 1) }),
            "crypto.malformed",
        ),
        ("no base64", json!({ "sealed": "k1:?" }), "crypto.malformed"),
        ("in clear", json!(SECRET), "payload.malformed"),
        ("gone", Value::Null, "payload.malformed"),
    ] {
        let changed = edited(&payload, |fields| fields["link"] = link);
        let error = codec
            .decode::<SendMagicLink>(&changed, 3, &task.tenant(), id(1))
            .unwrap_err();
        assert_eq!((error.code(), error.class()), (code, ErrorClass::Permanent), "{what}");
    }
}

#[test]
fn an_error_about_a_sealed_value_does_not_quote_it() {
    let codec = codec();
    let sealed_number = SendNumber {
        organization_id: 7.into(),
        project_id: 8.into(),
        number: Sealed::new(4711),
    };
    let payload = codec.encode(&sealed_number, id(1)).unwrap();
    let error = codec
        .decode::<SendText>(&payload, 1, &Tenant::project(7, 8), id(1))
        .unwrap_err();
    assert_eq!(error.code(), "payload.malformed");
    assert!(!error.to_string().contains("4711"), "{error}");
}

#[test]
fn a_sealer_that_fails_fails_the_write_and_nothing_is_sent_in_clear() {
    struct Broken;
    impl Sealer for Broken {
        fn seal(&self, _: &[u8], _: &SealContext) -> Result<SealedBytes, SealError> {
            Err(SealError::Sealer("the key store is locked".into()))
        }
        fn open(&self, _: &SealedBytes, _: &SealContext) -> Result<Vec<u8>, SealError> {
            Err(SealError::DoesNotOpen)
        }
    }
    let codec = Codec::new(Arc::new(Broken), Limits::default());
    let error = codec.encode(&send_magic_link(Channel::Mail), id(1)).unwrap_err();
    assert_eq!((error.code(), error.class()), ("crypto.sealer", ErrorClass::Permanent));
    assert!(error.to_string().starts_with("magic-link-email/send: "), "{error}");
}

#[test]
fn sealing_is_lent_only_while_the_codec_works_even_when_a_contract_panics() {
    let codec = codec();
    let task = send_magic_link(Channel::Mail);
    let payload = codec.encode(&task, id(1)).unwrap();
    assert!(!is_scope_active());
    let _: SendMagicLink = codec.decode(&payload, 3, &task.tenant(), id(1)).unwrap();
    assert!(!is_scope_active());
    let panicking = Panicking {
        organization_id: 7.into(),
        project_id: 8.into(),
        fuse: Fuse,
    };
    assert!(catch_unwind(AssertUnwindSafe(|| codec.encode(&panicking, id(1)))).is_err());
    assert!(!is_scope_active());
    assert!(serde_json::to_string(&task).is_err());
    assert!(serde_json::from_str::<SendMagicLink>(payload.as_str()).is_err());
}

/// What `SendText` would be read from after a mistake.
#[derive(Serialize, Deserialize, Task)]
#[task(topic = "texts", name = "send", version = 1)]
struct SendNumber {
    organization_id: OrganizationId,
    project_id: ProjectId,
    number: Sealed<i64>,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(topic = "texts", name = "send", version = 1)]
struct SendText {
    organization_id: OrganizationId,
    project_id: ProjectId,
    number: Sealed<String>,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "fuses", name = "light", version = 1)]
struct Panicking {
    organization_id: OrganizationId,
    project_id: ProjectId,
    fuse: Fuse,
}

struct Fuse;

impl PayloadField for Fuse {}

impl Serialize for Fuse {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("a contract's own Serialize may do anything")
    }
}

impl<'de> Deserialize<'de> for Fuse {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

#[test]
fn in_a_corrected_payload_a_secret_is_kept_as_it_was_or_given_in_clear() {
    let (codec, task) = (codec(), send_magic_link(Channel::Mail));
    let stored = codec.encode(&task, id(1)).unwrap();
    let corrected = |key: &str, value: Value| {
        let input = edited(&stored, |payload| payload[key] = value);
        codec.read_correction::<SendMagicLink>(&input, &task.tenant(), id(1))
    };
    let kept = corrected("user_id", json!(9)).unwrap();
    assert_eq!((kept.user_id, kept.link.expose().as_str()), (9, SECRET));
    let given = corrected("link", json!("https://other")).unwrap();
    assert_eq!(given.link.expose(), "https://other");
    // Neither what stands for it when it is shown, nor another's ciphertext, nor another type.
    let refusals = [
        (json!("‹sealed›"), "payload.malformed"),
        (json!({"sealed": "nothing of ours"}), "crypto.malformed"),
        (json!(7), "payload.malformed"),
    ];
    for (link, code) in refusals {
        let error = corrected("link", link.clone()).unwrap_err();
        assert_eq!(error.code(), code, "{link}: {error}");
    }
    let moved = codec.read_correction::<SendMagicLink>(&stored, &task.tenant(), id(2));
    assert_eq!(moved.unwrap_err().code(), "crypto.does_not_open");
    assert!(!is_scope_active());
}

#[test]
fn a_corrected_payload_stays_its_tenants() {
    let (codec, task) = (codec(), send_magic_link(Channel::Mail));
    let stored = codec.encode(&task, id(1)).unwrap();
    let input = edited(&stored, |payload| payload["organization_id"] = json!("77"));
    // The secret is sealed for the tenant it was, so that it is given anew.
    let input = edited(&input, |payload| payload["link"] = json!("https://other"));
    let error = codec.read_correction::<SendMagicLink>(&input, &task.tenant(), id(1));
    assert_eq!(error.unwrap_err().code(), "tenant.mismatch");
}
