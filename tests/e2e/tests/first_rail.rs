//! From a request to its side effect: what a user of the running program sees.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use aftercommit_e2e::{Account, Database, PATIENCE, Product, Setup, Token, eventually};
use aftercommit_testkit::smtp_server::RecordingSmtpServer;
use serde_json::{Value, json};

/// The token of the one link in a text.
fn token_in(text: &str) -> String {
    let tokens = Token::all_in(text);
    let [token] = &tokens[..] else {
        panic!("{tokens:?} in {text}")
    };
    token.as_str().to_owned()
}

/// The tasks of a topic, newest first.
async fn tasks(product: &Product, topic: &str) -> Vec<Value> {
    let answer = product.cli_json(&["tasks", "list", "--topic", topic]).await;
    answer["tasks"].as_array().unwrap().clone()
}

/// The published events of a name, newest first, as CloudEvents.
async fn events(product: &Product, name: &str) -> Vec<Value> {
    let answer = product.cli_json(&["events", "list", "--name", name]).await;
    answer["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|logged| logged["event"].clone())
        .collect()
}

async fn first_event(product: &Product, name: &str) -> Value {
    eventually(name, PATIENCE, async || events(product, name).await.pop()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_sign_up_to_the_invitation_email() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let product = Product::start(Setup::smtp(server.address())).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    let project = account
        .api
        .post("/v1/projects", &json!({"name": "Rockets"}))
        .await
        .expect(201);
    let body = json!({"email": "grace@hopper.example", "role": "admin", "project_id": project["project_id"]});
    let invitation = account.api.post("/v1/invitations", &body).await.expect(202);
    let invitation_id = invitation["invitation_id"].as_str().unwrap();

    let received = server.wait_for(1).await;
    let [email] = &received[..] else { panic!("{received:?}") };
    assert_eq!(email.to, ["grace@hopper.example"]);
    assert!(email.subject.contains("Acme"), "{}", email.subject);
    let (text, html) = (email.text().unwrap(), email.html().unwrap());
    let token = token_in(&text);
    assert!(html.contains(&token) && html.contains("<html"), "{html}");

    let [task] = &tasks(&product, "invitation-email").await[..] else {
        panic!("one task")
    };
    assert_eq!(
        email.message_id.split('@').next(),
        task["id"].as_str(),
        "the Message-ID names the task"
    );
    let accept = format!("/v1/invitations/{invitation_id}/accept");
    let accepted = product.api().post(&accept, &json!({"token": token})).await.expect(200);
    println!("invited, mailed as {}, accepted: {accepted}", email.message_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_magic_link_signs_someone_up_and_works_once() {
    let server = RecordingSmtpServer::start().await.unwrap();
    let product = Product::start(Setup::smtp(server.address())).await;
    let api = product.api();
    api.post("/v1/magic-links", &json!({"email": "new@person.example"}))
        .await
        .expect(202);
    let received = server.wait_for(1).await;
    let [email] = &received[..] else { panic!("{received:?}") };
    assert_eq!(email.to, ["new@person.example"]);
    let token = token_in(&email.text().unwrap());
    assert!(email.html().unwrap().contains(&token));

    let [task] = &tasks(&product, "magic-link-email").await[..] else {
        panic!("one task")
    };
    assert_eq!(email.message_id.split('@').next(), task["id"].as_str());
    api.post("/v1/magic-links/follow", &json!({"token": token}))
        .await
        .expect(200);
    api.post("/v1/magic-links/follow", &json!({"token": token}))
        .await
        .problem(410, "sign_in_link.not_valid");
}

#[tokio::test]
async fn without_a_server_emails_become_files() {
    let product = Product::start(Setup::default()).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    account.invite("grace@hopper.example").await;
    let files = eventually("the file", PATIENCE, async || {
        Some(product.mail_files()).filter(|files| !files.is_empty())
    });
    let [email] = &files.await[..] else { panic!("one file") };
    for expected in [
        "To: grace@hopper.example",
        "Message-ID: <",
        "text/plain",
        "text/html",
        "/join#",
    ] {
        assert!(email.contains(expected), "{expected}: {email}");
    }
}

#[tokio::test]
async fn a_use_case_that_rolls_back_sends_nothing() {
    let product = Product::start(Setup::default()).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    let api = &account.api;
    let (key, other) = (("idempotency-key", "first"), ("idempotency-key", "second"));
    let post = |key: (&str, &str), body: &Value| api.request("POST", "/v1/invitations").header(key.0, key.1).json(body);
    let gone = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";
    let invitation = json!({"email": "never@mailed.example", "role": "member"});
    let elsewhere = json!({"email": "never@mailed.example", "role": "member", "project_id": gone});

    // Refused before, in the middle of, and at the end of its transaction.
    api.post("/v1/invitations", &json!({"email": "never", "role": "member"}))
        .await
        .problem(422, "input.invalid");
    api.send(post(key, &elsewhere)).await.problem(404, "not_found");
    let mailed = json!({"email": "only@mailed.example", "role": "member"});
    // The key is free again, because claiming it was rolled back as well.
    api.send(post(key, &mailed)).await.expect(202);
    api.send(post(key, &invitation))
        .await
        .problem(422, "idempotency_key.reused");
    let project = api
        .post("/v1/projects", &json!({"name": "Short-lived"}))
        .await
        .expect(201);
    let project_id = project["project_id"].as_str().unwrap();
    api.delete(&format!("/v1/projects/{project_id}")).await.expect(202);
    let late = json!({"email": "never@mailed.example", "role": "member", "project_id": project_id});
    api.send(post(other, &late)).await.problem(404, "not_found");

    eventually("the one e-mail", PATIENCE, async || {
        (!product.mail_files().is_empty()).then_some(())
    })
    .await;
    drained(&product).await;
    let mail = product.mail_files();
    assert_eq!(mail.len(), 1);
    assert!(
        mail.iter().all(|email| email.contains("only@mailed.example")),
        "{mail:?}"
    );
    for name in ["InvitationCreated", "InvitationEmailRequested"] {
        assert_eq!(events(&product, name).await.len(), 1, "{name}");
    }
}

/// Waits until nothing is left that could still follow.
async fn drained(product: &Product) {
    eventually("everything has been done", PATIENCE, async || {
        let status = product.admin().get("/admin/v1/outbox").await.expect(200);
        let topics = status["topics"].as_array()?;
        let idle = topics
            .iter()
            .all(|topic| topic["available"] == 0 && topic["running"] == 0);
        (status["waiting"] == 0 && status["claimed"] == 0 && idle).then_some(())
    })
    .await;
}

#[tokio::test]
async fn direct_rail_reaches_its_handler_with_the_same_envelope() {
    let mut product = Product::start(Setup::default()).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    drained(&product).await;
    // A witness in the file writes down everything that is ever in the outbox.
    product.terminate().await;
    let mut database = Database::open(&product.data()).await;
    database.execute("CREATE TABLE witness (name TEXT)").await;
    database
        .execute(
            "CREATE TRIGGER witness_of_outbox AFTER INSERT ON aftercommit_outbox
             BEGIN INSERT INTO witness VALUES (coalesce(NEW.name, NEW.kind)); END",
        )
        .await;
    database.close().await;
    product.start_again().await;
    let account = account.at(&product.api());

    let path = format!("/v1/projects/{}/records:batch", account.project_id);
    let batch = json!({"records": [{"key": "a", "body": {"n": 1}}, {"key": "", "body": 2}, {"key": "c", "body": [3]}]});
    let request = account
        .api
        .request("POST", &path)
        .header("x-request-id", "the-batch")
        .json(&batch);
    let answer = account.api.send(request).await.expect(202);
    assert_eq!(answer["accepted"], 2);
    assert_eq!(answer["rejected"][0]["index"], 1);

    let ingested = first_event(&product, "RecordsIngested").await;
    let first = first_event(&product, "FirstRecordReceived").await;
    let [task] = &tasks(&product, "projects")
        .await
        .into_iter()
        .filter(|task| task["task"] == "check-first-record")
        .collect::<Vec<_>>()[..]
    else {
        panic!("one task")
    };
    let id = task["id"].as_str().unwrap();
    let ended = eventually("the task has ended", PATIENCE, async || {
        Some(product.cli_json(&["tasks", "show", id]).await).filter(|task| task["state"] == "completed")
    });
    let shown = product
        .cli_json(&["events", "show", ingested["id"].as_str().unwrap()])
        .await;
    assert_eq!(shown["event"], ingested, "the log holds one envelope");
    assert_eq!(
        ended.await["causation_id"],
        ingested["id"],
        "the handler's task names the event"
    );
    assert_eq!(first["causationid"], id, "what the handler wrote names its task");
    for envelope in [&ingested, &first] {
        assert_eq!(envelope["correlationid"], "the-batch", "{envelope}");
        assert_eq!(envelope["organizationid"], account.organization_id, "{envelope}");
        assert_eq!(envelope["projectid"], account.project_id, "{envelope}");
    }
    assert_eq!(ingested["data"]["record_count"], 2);
    assert_eq!(
        ingested.get("sequence"),
        None,
        "it had no row whose position could be its sequence"
    );

    product.terminate().await;
    let mut database = Database::open(&product.data()).await;
    let mut seen = database.texts("SELECT name FROM witness ORDER BY rowid").await;
    // Another handler tells of the usage of the project, or will.
    seen.retain(|name| name != "UsagePeriodUpdated");
    assert_eq!(
        seen,
        ["FirstRecordReceived"],
        "the outbox held the handlers' events and never the direct one"
    );
    println!("the outbox held {seen:?}; the direct event was {ingested}");
}
