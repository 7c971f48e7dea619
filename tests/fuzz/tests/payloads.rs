//! Payloads of any version and with any secret: what an upcaster makes of an old one is what the contract writes, what was
//! sealed opens for its own message only, and no secret is repeated.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::{Arc, LazyLock};

use aftercommit_domain::contract::{Cause, Codec, Contract, DecodeError, EventEnvelope, Json, Limits, Sealed, Tenant};
use aftercommit_domain::effects::EmailAddress;
use aftercommit_domain::failure::{Classified as _, ErrorClass};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::reference::catalogue;
use aftercommit_domain::reference::identity::MagicLinkEmailRequested;
use aftercommit_domain::reference::records::RecordsIngested;
use aftercommit_fuzz::{Drawn, any_json, any_text, fuzz_target, mutated, unique_id};
use aftercommit_platform_sealer_aead::{AeadSealer, SealingKeys};
use aftercommit_testkit::SeededRandomness;
use serde_json::Value;

fuzz_target!(fuzz_payloads, payload, a_payload_is_read_as_what_was_written);

const EMAIL: &str = "canary@acme.example";
const LINK: &str = "https://canary.example/#canary";
const ID: &str = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";

static CODEC: LazyLock<Codec> = LazyLock::new(|| {
    let keys = SealingKeys::new([("new".to_owned(), [1; 32]), ("old".to_owned(), [2; 32])]).unwrap();
    let sealer = AeadSealer::new(keys, Arc::new(SeededRandomness::new(1)));
    Codec::new(Arc::new(sealer), Limits::default())
});

/// Its payload as it is written, with the secrets sealed for the message [`ID`].
static SEALED: LazyLock<String> = LazyLock::new(|| {
    let event = MagicLinkEmailRequested {
        sign_in_link_id: uuid::Uuid::from_u128(7).into(),
        email: Sealed::new(EmailAddress::new(EMAIL).unwrap()),
        magic_link_url: Sealed::new(LINK.to_owned()),
        expires_at: "2026-01-08T00:00:00Z".parse().unwrap(),
    };
    CODEC.encode(&event, ID.parse().unwrap()).unwrap().as_str().to_owned()
});

/// Three lines: version, message, organization and project, with nothing for none; then the payload.
fn payload(drawn: &mut Drawn<'_>) -> arbitrary::Result<Vec<u8>> {
    let is_sealed = drawn.arbitrary()?;
    let version = drawn.choose(&["1", "2", "0", "3", "65535"])?;
    let id = if drawn.ratio(1, 4)? {
        unique_id(drawn)?
    } else {
        ID.to_owned()
    };
    let tenant = *drawn.choose(if is_sealed {
        &["/", "acme/"][..]
    } else {
        &["acme/web", "acme/", "/"]
    })?;
    let body = if is_sealed {
        mutated(drawn, SEALED.clone().into_bytes())?
    } else {
        let json = records(drawn)?.into_bytes();
        mutated(drawn, json)?
    };
    Ok([format!("{version}\n{id}\n{tenant}\n").into_bytes(), body].concat())
}

/// A payload of `RecordsIngested` in one of its versions, or nearly.
fn records(drawn: &mut Drawn<'_>) -> arbitrary::Result<String> {
    let ids = (0..drawn.int_in_range(0..=4)?)
        .map(|_| Ok(Value::from(unique_id(drawn)?)))
        .collect::<arbitrary::Result<Vec<_>>>()?;
    let mut fields = vec![
        "\"organization_id\":\"acme\"".to_owned(),
        "\"project_id\":\"web\"".to_owned(),
        "\"batch\":\"records/acme/web/1\"".to_owned(),
        match drawn.int_in_range(0..=3)? {
            0 | 1 => format!("\"record_ids\":{}", Value::from(ids)),
            2 => format!("\"record_count\":{}", drawn.arbitrary::<u32>()?),
            _ => format!("\"record_ids\":{}", any_json(drawn)?),
        },
    ];
    if drawn.ratio(1, 4)? {
        let name = *drawn.choose(&["record_ids", "record_count", "organization_id", "batch", "more"])?;
        fields.push(format!("\"{name}\":{}", any_json(drawn)?));
    }
    if drawn.ratio(1, 8)? {
        let batch = Value::from(any_text(drawn)?);
        fields[2] = format!("\"batch\":{batch}");
    }
    if drawn.ratio(1, 8)? {
        fields.remove(drawn.int_in_range(0..=fields.len() - 1)?);
    }
    Ok(format!("{{{}}}", fields.join(",")))
}

fn a_payload_is_read_as_what_was_written(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let mut lines = input.splitn(4, '\n');
    let (Some(version), Some(id), Some(tenant), Some(body)) = (lines.next(), lines.next(), lines.next(), lines.next())
    else {
        return;
    };
    let (Ok(version), Ok(id)) = (version.parse::<u16>(), id.parse::<MessageId>()) else {
        return;
    };
    let Ok(payload) = Json::parse(body, CODEC.limits()) else {
        return;
    };
    let (organization, project) = tenant.split_once('/').unwrap_or_default();
    let Some(tenant) = Tenant::from_parts(organization.parse().ok(), project.parse().ok()) else {
        return;
    };

    if let Some(read) = decoded::<RecordsIngested>(&payload, version, &tenant, id) {
        match (version, payload.to::<Value>()) {
            (1, Ok(fields)) => {
                let ids = fields["record_ids"].as_array().unwrap();
                assert_eq!(ids.len(), read.record_count as usize);
            }
            (2, Ok(fields)) => assert_eq!(fields["record_count"], read.record_count),
            // A number that nobody reads may be larger than any that somebody could.
            (2, Err(error)) => assert!(error.to_string().starts_with("number out of range"), "{error}"),
            (version, fields) => panic!("version {version} was read of {fields:?}"),
        }
        let written = CODEC.encode(&read, id).unwrap();
        assert_eq!(decoded::<RecordsIngested>(&written, 2, &tenant, id), Some(read));
    }
    if let Some(read) = decoded::<MagicLinkEmailRequested>(&payload, version, &tenant, id) {
        assert_eq!(
            (read.email.expose().as_str(), read.magic_link_url.expose().as_str()),
            (EMAIL, LINK)
        );
        assert_eq!(
            (id.to_string().as_str(), &tenant, version),
            (ID, &Tenant::System, 1),
            "moved, and opened"
        );
        assert!(!format!("{read:?}").contains("canary"));
    }
    the_relay_judges_alike(&payload, version, &tenant, id);
}

fn decoded<C: Contract>(payload: &Json, version: u16, tenant: &Tenant, id: MessageId) -> Option<C> {
    match CODEC.decode::<C>(payload, version, tenant, id) {
        Ok(read) => {
            assert_eq!(read.tenant(), *tenant);
            Some(read)
        }
        Err(error) => {
            is_refused_well(&error);
            None
        }
    }
}

fn is_refused_well(error: &DecodeError) {
    const CODES: [&str; 10] = [
        "payload.malformed",
        "payload.nul",
        "json.too_deep",
        "json.too_many_values",
        "version.unsupported",
        "tenant.missing",
        "tenant.mismatch",
        "crypto.unknown_key",
        "crypto.does_not_open",
        "crypto.malformed",
    ];
    assert!(CODES.contains(&error.code()), "{}", error.code());
    assert_eq!(error.class(), ErrorClass::Permanent);
    assert!(
        !error.to_string().contains("canary") && !format!("{error:?}").contains("canary"),
        "{error:?}"
    );
}

/// What the relay sets aside, no consumer would have read.
fn the_relay_judges_alike(payload: &Json, version: u16, tenant: &Tenant, id: MessageId) {
    for known in catalogue().events() {
        let event = EventEnvelope {
            id,
            name: known.name.clone(),
            version,
            source: "/fuzz".into(),
            aggregate: aftercommit_domain::contract::AggregateRef::new(known.aggregate.clone(), "1"),
            occurred_at: aftercommit_domain::time::Timestamp::UNIX_EPOCH,
            tenant: tenant.clone(),
            sequence: None,
            cause: Cause::root(),
            payload: payload.clone(),
        };
        if let Err(error) = catalogue().check(&event, &CODEC) {
            is_refused_well(&error);
            assert!(
                !error.is_of_a_newer_build() && !error.code().starts_with("crypto."),
                "{error}"
            );
        }
    }
}
