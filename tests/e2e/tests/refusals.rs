//! Whatever comes over HTTP gets its exact answer, and the process stays well.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use aftercommit_e2e::{Account, Api, Database, PATIENCE, Product, RefusingPort, Setup, eventually};
use aftercommit_testkit::smtp_server::RecordingSmtpServer;
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

    // One byte too long is read to its end; of what is longer, the answer may come too late for who is still sending.
    api.raw("POST", path, JSON, vec![b' '; (1 << 20) + 1])
        .await
        .problem(413, "body.too_large");
    let long = api
        .request("POST", path)
        .header("content-type", JSON)
        .body(vec![b' '; 2 << 20]);
    if let Ok(answer) = api.try_send(long).await {
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
    stays_well(&product, &account).await;
}

#[tokio::test]
async fn garbage_at_the_operators_interface() {
    let product = Product::start(Setup::default()).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    let (open, admin) = (product.api(), product.admin());
    for path in [
        "outbox",
        "events",
        "tasks",
        "dead-letters",
        "routes",
        "tasks/x",
        "dead-letters/x",
    ] {
        let path = format!("/admin/v1/{path}");
        open.get(&path).await.problem(401, "admin.unauthorized");
        // A tenant's key opens nothing here.
        account.api.get(&path).await.problem(401, "admin.unauthorized");
    }
    open.post("/admin/v1/events", &json!({}))
        .await
        .problem(401, "admin.unauthorized");
    open.post(&format!("/admin/v1/dead-letters/{NO_ID}/replay"), &json!({}))
        .await
        .problem(401, "admin.unauthorized");

    for kind in ["events", "tasks", "dead-letters"] {
        admin
            .get(&format!("/admin/v1/{kind}/nonsense"))
            .await
            .problem(400, "id.invalid");
        admin
            .get(&format!("/admin/v1/{kind}/{NO_ID}"))
            .await
            .problem(404, "not_found");
        admin
            .get(&format!("/admin/v1/{kind}?limit=-1"))
            .await
            .problem(400, "query.invalid");
    }
    admin
        .delete(&format!("/admin/v1/dead-letters/{NO_ID}"))
        .await
        .problem(404, "not_found");

    let task = |topic: &str, task: &str, payload: Value| json!({"topic": topic, "task": task, "payload": payload});
    let invitation = json!({"organization_id": account.organization_id, "invitation_id": NO_ID});
    let publish = async |body: &Value| admin.post("/admin/v1/tasks", body).await;
    for (body, status, code) in [
        (task("invitation-email", "send", json!({})), 422, "payload.malformed"),
        (
            task(
                "invitation-email",
                "send",
                json!({"organization_id": 7, "invitation_id": NO_ID}),
            ),
            422,
            "payload.malformed",
        ),
        (task("invitation-email", "send", json!(null)), 422, "payload.malformed"),
        (
            task("invitation-email", "burn", invitation.clone()),
            422,
            "handler.unknown",
        ),
        (
            task("no-such-topic", "send", invitation.clone()),
            422,
            "handler.unknown",
        ),
        (task("No Topic", "send", invitation.clone()), 422, "body.invalid"),
    ] {
        let answer = publish(&body).await;
        println!("{body} -> {} {}", answer.status, answer.body);
        answer.problem(status, code);
    }
    admin
        .raw("POST", "/admin/v1/tasks", "application/json", vec![b' '; 2 << 20])
        .await
        .problem(413, "body.invalid");
    admin
        .raw("POST", "/admin/v1/tasks", "application/json", "{")
        .await
        .problem(400, "body.invalid");
    admin
        .raw("POST", "/admin/v1/tasks", "text/plain", "{}")
        .await
        .problem(415, "body.invalid");
    let emitted = admin
        .post("/admin/v1/events", &json!({"name": "NoSuchEvent", "payload": {}}))
        .await;
    emitted.problem(422, "handler.unknown");

    // One that can be read and means nothing runs, and says why it did nothing.
    let published = publish(&task("invitation-email", "send", invitation)).await.expect(202);
    let id = published["task_id"].as_str().unwrap();
    let task = eventually("the task has ended", PATIENCE, async || {
        Some(admin.get(&format!("/admin/v1/tasks/{id}")).await.expect(200))
            .filter(|task| task["finished_at"].is_string())
    })
    .await;
    assert_eq!(
        (task["state"].as_str(), task["reason"].as_str()),
        (Some("skipped"), Some("the invitation is gone"))
    );
    stays_well(&product, &account).await;
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
    stays_well(&product, &account).await;
}

/// Work still goes through, every loop runs, and nothing was thrown.
async fn stays_well(product: &Product, account: &Account) {
    let api: Api = product.api();
    let loops = api.get("/health").await.expect(200)["loops"].clone();
    let loops = loops.as_array().unwrap();
    assert!(
        loops
            .iter()
            .all(|one| one["status"] == "running" && one["failures"] == 0),
        "{loops:?}"
    );
    assert_eq!(api.get("/ready").await.expect(200)["ready"], true);
    account.invite("still@well.example").await;
    eventually("the e-mail", PATIENCE, async || {
        product
            .mail_files()
            .iter()
            .any(|email| email.contains("still@well.example"))
            .then_some(())
    })
    .await;
    assert!(!product.log().contains("panicked"), "{}", product.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_task_is_a_dead_letter_and_its_neighbours_run() {
    let port = RefusingPort::open();
    let mut product = Product::start(Setup::smtp(port.address()).impatient()).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    for number in 0..5 {
        account.invite(&format!("person-{number}@garbled.example")).await;
    }
    eventually("all five wait", PATIENCE, async || {
        let answer = product
            .cli_json(&["tasks", "list", "--topic", "invitation-email", "--state", "retryable"])
            .await;
        (answer["tasks"].as_array()?.len() == 5).then_some(())
    })
    .await;
    product.terminate().await;
    let mut database = Database::open(&product.data()).await;
    let garbled = database
        .execute(
            "UPDATE aftercommit_tasks SET body = x'7b22ff00' WHERE seq IN
             (SELECT seq FROM aftercommit_tasks WHERE topic = 'invitation-email' ORDER BY seq LIMIT 2)",
        )
        .await;
    assert_eq!(garbled, 2);
    database.close().await;
    let server = RecordingSmtpServer::start_on(port.address()).await.unwrap();
    product.start_again().await;

    let letters = eventually("two dead letters", PATIENCE, async || {
        let answer = product.cli_json(&["dead-letters", "list"]).await;
        Some(answer["dead_letters"].as_array()?.clone()).filter(|letters| letters.len() == 2)
    })
    .await;
    for letter in &letters {
        let code = letter["failure"]["code"].as_str().unwrap();
        println!("{code}: {}", letter["failure"]["message"]);
        assert_eq!(letter["body_bytes"], 4, "the raw bytes are kept");
        let id = letter["id"].as_str().unwrap();
        assert_eq!(product.cli_json(&["tasks", "show", id]).await["state"], "dead");
        let shown = product.cli(&["dead-letters", "show", id]).await;
        assert!(shown.status.success(), "{shown:?}");
    }
    assert_eq!(server.wait_for(3).await.len(), 3);
    assert_eq!(product.api().get("/ready").await.status, 200);
}
