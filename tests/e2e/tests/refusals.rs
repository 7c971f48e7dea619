//! Whatever comes over HTTP gets its exact answer, and the process stays well.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use aftercommit_e2e::{Account, Product, Setup, assert_well};
use serde_json::{Value, json};

const NO_ID: &str = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";

/// The fields a problem names, with their codes.
fn fields(problem: &Value) -> Vec<(&str, &str)> {
    let errors = problem["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| (error["field"].as_str().unwrap(), error["code"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn wrong_key_401_other_tenant_404_bad_body_names_the_field() {
    let product = Product::start(Setup::default()).await;
    let api = product.api();
    let (acme, other) = (
        Account::sign_up(&api, "Acme").await,
        Account::sign_up(&api, "Other").await,
    );
    let invitation = json!({"email": "a@b.example", "role": "member"});

    let changed = format!("{}0", &acme.key[..acme.key.len() - 1]);
    for key in ["", "nonsense", "ak_1_2", NO_ID, &changed, &"x".repeat(10_000)] {
        let answer = api.with_key(key).post("/v1/invitations", &invitation).await;
        // A key can end in the digit it was changed to.
        if key != acme.key {
            answer.problem(401, "api_key.not_valid");
        }
    }
    api.post("/v1/invitations", &invitation)
        .await
        .problem(401, "api_key.not_valid");
    // Who has no key learns nothing about the rest of the request.
    api.post("/v1/invitations", &json!({"nonsense": 1}))
        .await
        .problem(401, "api_key.not_valid");

    let invitation_id = acme.invite("a@b.example").await;
    let batch = json!({"records": [{"key": "a", "body": 1}]});
    for id in [&acme.project_id, NO_ID, "nonsense", "%00", "..%2f.."] {
        other
            .api
            .delete(&format!("/v1/projects/{id}"))
            .await
            .problem(404, "not_found");
        other
            .api
            .post(&format!("/v1/projects/{id}/records:batch"), &batch)
            .await
            .problem(404, "not_found");
        let body = json!({"email": "a@b.example", "role": "member", "project_id": id});
        other.api.post("/v1/invitations", &body).await.problem(404, "not_found");
    }
    for id in [&*invitation_id, NO_ID, "nonsense"] {
        other
            .api
            .delete(&format!("/v1/invitations/{id}"))
            .await
            .problem(404, "not_found");
    }
    // None of that touched it.
    acme.api
        .delete(&format!("/v1/invitations/{invitation_id}"))
        .await
        .expect(200);

    for (body, expected) in [
        (json!({}), vec![("email", "missing"), ("role", "missing")]),
        (json!({"email": "a@b.example"}), vec![("role", "missing")]),
        (
            json!({"email": "nobody", "role": "king"}),
            vec![("email", "invalid_email"), ("role", "unknown_role")],
        ),
        (json!({"email": 7, "role": "member"}), vec![("email", "wrong_type")]),
        (
            json!({"email": "a@b.example", "role": "member", "colour": "red"}),
            vec![("colour", "unknown_field")],
        ),
        (json!([]), vec![("body", "wrong_type")]),
        (json!("a"), vec![("body", "wrong_type")]),
    ] {
        let problem = acme
            .api
            .post("/v1/invitations", &body)
            .await
            .problem(422, "input.invalid");
        assert_eq!(fields(&problem), expected, "{body}");
        assert!(
            !problem.to_string().contains("nobody"),
            "an answer does not repeat what was sent: {problem}"
        );
    }
    let problem = api
        .post("/v1/organizations", &json!({"name": "\u{7}", "owner_email": ""}))
        .await;
    assert_eq!(
        fields(&problem.problem(422, "input.invalid")),
        [("name", "control_character"), ("owner_email", "invalid_email")]
    );
}

#[tokio::test]
async fn garbage_over_http() {
    const JSON: &str = "application/json";
    let product = Product::start(Setup::default()).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    let (open, api) = (product.api(), &account.api);
    let path = "/v1/invitations";

    // One byte too long is read to its end.
    api.raw("POST", path, JSON, vec![b' '; (1 << 20) + 1])
        .await
        .problem(413, "body.too_large");
    if let Some(answer) = api.post_two_mebibytes(path).await {
        answer.problem(413, "body.too_large");
    }
    let long_address = format!("{{\"email\": \"{}\", \"role\": \"member\"}}", "x".repeat(1_000_000));
    api.raw("POST", path, JSON, long_address)
        .await
        .problem(422, "input.invalid");
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "",
        "application/jsonx",
        "\u{e9}",
    ] {
        api.raw("POST", path, content_type, "{}")
            .await
            .problem(415, "body.not_json");
    }
    for body in [
        "",
        "{",
        "{\"email\": \"a@b.exa",
        "nul",
        "{} {}",
        "\u{feff}{}",
        "{\"email\": \"\\ud800\"}",
    ] {
        api.raw("POST", path, JSON, body).await.problem(400, "body.malformed");
    }
    api.raw("POST", path, JSON, b"{\"email\": \"\xff\xfe\"}".to_vec())
        .await
        .problem(400, "body.malformed");
    let twice = r#"{"email": "a@b.example", "email": "c@d.example"}"#;
    let twice = api.raw("POST", path, JSON, twice).await.problem(422, "input.invalid");
    assert_eq!(fields(&twice), [("body", "duplicate_field")]);
    assert!(twice.to_string().contains("`email`"), "{twice}");
    // Deep enough for the stack of a careless reader.
    let deep = format!(
        "{{\"records\": [{{\"key\": \"a\", \"body\": {}1{}}}]}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let records = format!("/v1/projects/{}/records:batch", account.project_id);
    let answer = api.raw("POST", &records, JSON, deep).await.expect(202);
    assert_eq!(answer["accepted"], 0, "{answer}");

    for unknown in [
        "/",
        "/v1",
        "/v1/invitation",
        "/v1/invitations/",
        "/v2/invitations",
        "/admin",
        "/%00",
        "/..%2f..",
    ] {
        open.get(unknown).await.problem(404, "route.not_found");
    }
    for (method, path) in [
        ("GET", path),
        ("PUT", path),
        ("PATCH", "/v1/organizations"),
        ("BREW", "/v1/magic-links"),
    ] {
        open.raw(method, path, JSON, "{}")
            .await
            .problem(405, "route.method_not_allowed");
    }
    for key in ["", " ", &"x".repeat(10_000)] {
        let request = api
            .request("POST", path)
            .header("idempotency-key", key)
            .body("{}")
            .header("content-type", JSON);
        let answer = api.send(request).await;
        assert!(answer.status == 422, "{key:.10}: {answer:?}");
    }
    assert_well(&product, &account).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_no_http_disturb_nobody() {
    let product = Product::start(Setup::default()).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    let address = product.api().url().trim_start_matches("http://").to_owned();
    // Kept open until the end: the first bytes of requests that never go on.
    let _unfinished: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut connection = TcpStream::connect(&address).unwrap();
            connection
                .write_all(b"POST /v1/invitations HTTP/1.1\r\nhost: x\r\ncontent-le")
                .unwrap();
            connection
        })
        .collect();
    let noise: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let long_header = format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(2_000_000));
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        &noise,
        b"GET / HTTP/9.9\r\n\r\n",
        long_header.as_bytes(),
    ] {
        let mut connection = TcpStream::connect(&address).unwrap();
        // It may be closed before everything is written.
        let _ = connection.write_all(bytes);
        let mut answer = Vec::new();
        match connection.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert_well(&product, &account).await;
}
