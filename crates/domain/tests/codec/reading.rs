//! What a payload must be to be read: its tenant, its version, its limits, its fields.

use std::sync::Arc;

use aftercommit_domain::contract::{Codec, Contract, Json, Limits, Tenant};
use aftercommit_domain::failure::{Classified, ErrorClass};
use serde_json::json;

use crate::test_sealer::TestSealer;
use crate::{
    BillClosed, Channel, InvoicePaid, ResendMagicLink, SendMagicLink, Tick, code_of, codec, edited, id, invoice_paid,
    send_magic_link,
};

#[test]
fn an_envelope_of_another_tenant_than_its_payload_is_refused() {
    let codec = codec();
    let payload = codec.encode(&invoice_paid(), id(1)).unwrap();
    for (tenant, code) in [
        (Tenant::project(7, 8), "read"),
        (Tenant::project(7, 9), "tenant.mismatch"),
        (Tenant::project(6, 8), "tenant.mismatch"),
        (Tenant::organization(7), "tenant.missing"),
        (Tenant::System, "tenant.missing"),
    ] {
        assert_eq!(
            code_of(codec.decode::<InvoicePaid>(&payload, 1, &tenant, id(1))),
            code,
            "{tenant}"
        );
    }
}

#[test]
fn an_exempt_contract_takes_an_envelope_of_exactly_its_scope() {
    let codec = codec();
    let bill = codec
        .encode(
            &BillClosed {
                organization_id: 7.into(),
            },
            id(1),
        )
        .unwrap();
    let tick = codec.encode(&Tick {}, id(1)).unwrap();
    for (tenant, of_bill, of_tick) in [
        (Tenant::project(7, 8), "tenant.missing", "tenant.missing"),
        (Tenant::organization(7), "read", "tenant.missing"),
        (Tenant::organization(8), "tenant.mismatch", "tenant.missing"),
        (Tenant::System, "tenant.missing", "read"),
    ] {
        assert_eq!(
            code_of(codec.decode::<BillClosed>(&bill, 1, &tenant, id(1))),
            of_bill,
            "{tenant}"
        );
        assert_eq!(
            code_of(codec.decode::<Tick>(&tick, 1, &tenant, id(1))),
            of_tick,
            "{tenant}"
        );
    }
}

#[test]
fn an_older_version_is_read_through_every_version_between() {
    let (codec, task) = (codec(), send_magic_link(Channel::Mail));
    let newest = codec.encode(&task, id(1)).unwrap();
    let second = edited(&newest, |fields| {
        fields.as_object_mut().unwrap().remove("channel").unwrap();
    });
    let first = edited(&second, |fields| {
        let user = fields.as_object_mut().unwrap().remove("user_id").unwrap();
        fields["user"] = user;
    });
    for (version, payload) in [(1, &first), (2, &second), (3, &newest)] {
        let read: SendMagicLink = codec.decode(payload, version, &task.tenant(), id(1)).unwrap();
        assert_eq!(read, task, "version {version}");
    }
    // What calls itself older than it is does not get past the upcaster.
    let error = codec
        .decode::<SendMagicLink>(&second, 1, &task.tenant(), id(1))
        .unwrap_err();
    assert_eq!(error.code(), "version.unsupported");
    assert!(
        error.to_string().contains("version 1 cannot be read: it has no user"),
        "{error}"
    );
}

#[test]
fn a_version_this_build_does_not_know_is_refused_and_says_what_it_has() {
    let (codec, task) = (codec(), send_magic_link(Channel::Mail));
    let payload = codec.encode(&task, id(1)).unwrap();
    for (version, why) in [
        (4, "newer than this build"),
        (u16::MAX, "newer than this build"),
        (0, "start at 1"),
    ] {
        let error = codec
            .decode::<SendMagicLink>(&payload, version, &task.tenant(), id(1))
            .unwrap_err();
        assert_eq!(error.code(), "version.unsupported", "version {version}");
        let said = error.to_string();
        assert!(
            said.contains(why) && said.contains("knows version 3") && said.contains("magic-link-email/send"),
            "{said}"
        );
    }
    let no_upcaster = codec.encode(&ResendMagicLink::of(&task), id(1)).unwrap();
    let error = codec
        .decode::<ResendMagicLink>(&no_upcaster, 2, &task.tenant(), id(1))
        .unwrap_err();
    assert_eq!(error.code(), "version.unsupported");
}

#[test]
fn a_payload_over_a_limit_is_refused_when_written_and_when_read() {
    let event = invoice_paid();
    let payload = codec().encode(&event, id(1)).unwrap();
    let tight = Limits {
        payload_bytes: payload.as_str().len() - 1,
        ..Limits::default()
    };
    let tight = Codec::new(Arc::new(TestSealer::new("k1")), tight);
    let written = tight.encode(&event, id(1)).unwrap_err();
    assert_eq!(
        (written.code(), written.class()),
        ("payload.too_large", ErrorClass::Permanent)
    );
    let read = tight
        .decode::<InvoicePaid>(&payload, 1, &event.tenant(), id(1))
        .unwrap_err();
    assert_eq!(
        (read.code(), read.class()),
        ("payload.too_large", ErrorClass::Permanent)
    );
}

#[test]
fn json_that_came_past_the_limits_is_refused_before_it_is_parsed() {
    let lenient = Limits {
        json_depth: 1000,
        ..Limits::default()
    };
    let deep = Json::parse(format!("{}1{}", "[".repeat(65), "]".repeat(65)), &lenient).unwrap();
    for version in [1, 3] {
        let read = codec().decode::<SendMagicLink>(&deep, version, &Tenant::project(7, 8), id(1));
        assert_eq!(code_of(read), "json.too_deep", "version {version}");
    }
}

#[test]
fn a_list_of_the_fields_in_their_order_is_no_payload() {
    let event = invoice_paid();
    let list = Json::parse(r#"["7", "8", 9]"#, &Limits::default()).unwrap();
    let error = codec()
        .decode::<InvoicePaid>(&list, 1, &event.tenant(), id(1))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the payload of InvoicePaid is malformed: it is no object"
    );
    assert_eq!(error.code(), "payload.malformed");
    assert!(codec().read_input::<InvoicePaid>(&list).is_err());
}

#[test]
fn a_payload_that_is_not_the_contract_says_what_is_wrong() {
    let (codec, event) = (codec(), invoice_paid());
    let payload = codec.encode(&event, id(1)).unwrap();
    for (key, value, said) in [
        ("invoice_id", json!("9"), "expected i64"),
        ("invoice_id", json!(1e300), "expected i64"),
        (
            "organization_id",
            json!(""),
            "a value is not what the contract says at line 1",
        ),
    ] {
        let changed = edited(&payload, |fields| fields[key] = value);
        let error = codec
            .decode::<InvoicePaid>(&changed, 1, &event.tenant(), id(1))
            .unwrap_err();
        assert_eq!(error.code(), "payload.malformed");
        let text = error.to_string();
        assert!(text.contains(said) && text.contains("InvoicePaid"), "{text}");
    }
}
