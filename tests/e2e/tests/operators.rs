//! What operators send is checked like what tenants send; what nobody can read harms nobody else.

use aftercommit_e2e::{Account, Database, PATIENCE, Product, RefusingPort, Setup, assert_well, eventually};
use aftercommit_testkit::smtp_server::RecordingSmtpServer;
use serde_json::{Value, json};

const NO_ID: &str = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";

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
    if let Some(answer) = admin.post_two_mebibytes("/admin/v1/tasks").await {
        answer.problem(413, "body.invalid");
    }
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
    assert_well(&product, &account).await;
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
