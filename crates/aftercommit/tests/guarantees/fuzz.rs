//! Whatever an operator's request says, the answer is JSON, bounded, never a failure of the process, and a problem has a code.

use std::sync::LazyLock;

use aftercommit_fuzz::{Drawn, any_json, any_text, fuzz_target, mutated, unique_id};
use axum::http::Method;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::place::{Api, OpenedPlace, Place};

fuzz_target!(fuzz_admin, request, any_request_is_answered_well);

/// The application, opened and not at work, for all inputs.
static OPENED: LazyLock<(Runtime, OpenedPlace)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let opened = runtime.block_on(Place::new().open());
    (runtime, opened)
});

/// A method, a path with its query, a body; each on a line.
fn request(drawn: &mut Drawn<'_>) -> arbitrary::Result<Vec<u8>> {
    let method = *drawn.choose(&["GET", "POST", "DELETE", "PUT"])?;
    let what = *drawn.choose(&[
        "tasks",
        "events",
        "dead-letters",
        "outbox",
        "routes",
        "topics",
        "frobnicate",
    ])?;
    let mut path = format!("/admin/v1/{what}");
    if drawn.ratio(1, 3)? {
        path.push('/');
        path.push_str(&escaped(&unique_id(drawn)?));
        if drawn.ratio(1, 3)? {
            path += "/replay";
        }
    }
    for number in 0..drawn.int_in_range(0..=3)? {
        let name = drawn.choose(&[
            "topic",
            "state",
            "organization_id",
            "limit",
            "name",
            "since",
            "code",
            "x",
        ])?;
        let value = match *name {
            "limit" => (*drawn.choose(&["1", "1000", "0", "-1", "4294967296", "1e3", ""])?).to_owned(),
            "since" => (*drawn.choose(&[
                "2026-11-23T10:00:00Z",
                "1h",
                "+262142-12-31T23:59:59Z",
                "-262143-01-01T00:00:00Z",
            ])?)
            .to_owned(),
            "state" => (*drawn.choose(&["dead", "scheduled", "Dead", "lost"])?).to_owned(),
            "topic" => (*drawn.choose(&["receipts", "*", "%_"])?).to_owned(),
            _ => any_text(drawn)?,
        };
        path.push(if number == 0 { '?' } else { '&' });
        path.push_str(&[*name, "=", &escaped(&value)].concat());
    }
    let body = match drawn.int_in_range(0..=3)? {
        0 => String::new(),
        1 => any_json(drawn)?,
        _ => body(drawn)?,
    };
    mutated(drawn, format!("{method}\n{path}\n{body}").into_bytes())
}

/// What the command line sends, or nearly.
fn body(drawn: &mut Drawn<'_>) -> arbitrary::Result<String> {
    let payload = if drawn.arbitrary()? {
        any_json(drawn)?
    } else {
        r#"{"organization_id":"1","project_id":"2","invoice_id":7,"receipt_to":"a@b.example"}"#.to_owned()
    };
    let delay = *drawn.choose(&["0", "1", "-1", "18446744073709551615", "1.5", "31536000000000"])?;
    let name = *drawn.choose(&["InvoicePaid", "Lost", "", "x y"])?;
    let (topic, task) = (
        *drawn.choose(&["receipts", "lost", "*"])?,
        *drawn.choose(&["send", "lose"])?,
    );
    Ok(format!(
        "{{\"name\":\"{name}\",\"topic\":\"{topic}\",\"task\":\"{task}\",\"delay_ms\":{delay},\"payload\":{payload}}}"
    ))
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn any_request_is_answered_well(input: &[u8]) {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let (Some(method), Some(path), body) = (lines.next(), lines.next(), lines.next().unwrap_or_default()) else {
        return;
    };
    let (Ok(method), Ok(path)) = (Method::from_bytes(method), std::str::from_utf8(path)) else {
        return;
    };
    // What is no target of a request, no server would have let through; other paths are the product's own.
    if !path.starts_with("/admin/v1/") || path.parse::<axum::http::Uri>().is_err() {
        return;
    }
    let (runtime, opened) = &*OPENED;
    runtime.block_on(is_answered_well(&opened.api, method, path, body.to_vec()));
}

async fn is_answered_well(api: &Api, method: Method, path: &str, body: Vec<u8>) {
    let answer = api.send(method.clone(), path, body).await;
    let status = answer.status.as_u16();
    let told = || format!("{status} for {method} {path}: {}", answer.text);
    assert!(
        matches!(status, 200 | 202 | 400 | 404 | 405 | 413 | 415 | 422),
        "{}",
        told()
    );
    if method == Method::HEAD {
        return;
    }
    let document: Value = serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{error}: {}", told()));
    if status >= 400 {
        assert_eq!(document["status"], status, "{}", told());
        let code = document["code"].as_str().unwrap();
        assert!(
            !code.is_empty()
                && code
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'.' || byte == b'_'),
            "{code}"
        );
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.len() <= 9000, "{} bytes of detail", detail.len());
        assert!(!detail.contains(|c: char| c.is_control() && c != '\n'), "{detail:?}");
    }
}
