//! Dead letters as operators see, correct, replay and discard them.

use aftercommit::domain::failure::{ErrorClass, Failure};
use aftercommit::domain::ids::MessageId;
use aftercommit::domain::tasks::DeadLetter;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::application::CANARY;
use crate::place::{Answer, OpenedPlace, Place, TOKEN};

/// A receipt that cannot be sent, given up; answers the id of its task.
async fn dead_receipt(place: &Place) -> String {
    let opened = place.open().await;
    opened.api.emit(7).await;
    opened.handlers.break_down();
    opened.run_one().await.task_id.to_string()
}

#[tokio::test]
async fn a_dead_letter_is_listed_shown_and_runs_again_when_it_is_replayed() {
    let place = Place::new();
    let id = dead_receipt(&place).await;

    let opened = place.open().await;
    let listed = opened
        .api
        .get("/admin/v1/dead-letters?topic=receipts&code=printer.gone")
        .await;
    let listed = listed.json(200);
    let letter = &listed["dead_letters"][0];
    assert_eq!(letter["id"], id.as_str());
    assert_eq!((&letter["task"], &letter["attempts"]), (&json!("send"), &json!(1)));
    assert_eq!(letter["failure"]["code"], "printer.gone");
    assert!(letter.get("envelope").is_none(), "a list has no bodies");
    let path = format!("/admin/v1/dead-letters/{id}");
    let shown = opened.api.get(&path).await.json(200);
    assert!(
        shown["envelope"]["payload"]["receipt_to"]["sealed"].is_string(),
        "{shown}"
    );
    assert_eq!(
        opened.api.get(&format!("/admin/v1/tasks/{id}")).await.json(200)["state"],
        "dead"
    );

    let replay = format!("{path}/replay");
    let replayed = opened.api.send(Method::POST, &replay, Body::empty()).await.json(200);
    assert_eq!(replayed, json!({ "ids": [id] }));
    opened
        .api
        .send(Method::POST, &replay, Body::empty())
        .await
        .problem(404, "not_found");
    opened.api.get(&path).await.problem(404, "not_found");

    assert_eq!(opened.run_one().await.task_id.to_string(), id);
    let opened = place.open().await;
    assert_eq!(
        opened.api.get(&format!("/admin/v1/tasks/{id}")).await.json(200)["state"],
        "completed"
    );
    opened.close().await;
}

#[tokio::test]
async fn a_discarded_dead_letter_is_gone_and_does_not_run() {
    let place = Place::new();
    let id = dead_receipt(&place).await;
    let opened = place.open().await;
    let path = format!("/admin/v1/dead-letters/{id}");
    let discarded = opened.api.send(Method::DELETE, &path, Body::empty()).await.json(200);
    assert_eq!(discarded, json!({ "ids": [id] }));
    opened
        .api
        .send(Method::DELETE, &path, Body::empty())
        .await
        .problem(404, "not_found");
    let replay = format!("{path}/replay");
    opened
        .api
        .send(Method::POST, &replay, Body::empty())
        .await
        .problem(404, "not_found");
    // Another receipt shows that the engine ran while the discarded one did not.
    opened.api.emit(8).await;
    assert_eq!(opened.run_one().await.invoice_id, 8);
    place.open().await.close().await;
}

/// Sends a request that says who asks.
pub(crate) async fn ask_as(place: &OpenedPlace, operator: &str, method: Method, path: &str, body: Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
        .header(CONTENT_TYPE, "application/json")
        .header("aftercommit-operator", operator);
    place.api.ask(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_corrected_letter_runs_with_its_new_payload_and_the_secret_it_had() {
    let place = Place::new();
    let id = dead_receipt(&place).await;
    let opened = place.open().await;
    let path = format!("/admin/v1/dead-letters/{id}");
    let before = opened.api.get(&path).await.json(200);
    let mut payload = before["envelope"]["payload"].clone();
    payload["invoice_id"] = json!(70);
    let replay = format!("{path}/replay");
    let answer = ask_as(&opened, "ada", Method::POST, &replay, json!({ "payload": payload })).await;
    assert_eq!(answer.json(200), json!({ "ids": [id] }));
    let again = opened.api.post(&replay, &json!({ "payload": payload })).await;
    again.problem(404, "not_found");
    let actions = opened
        .api
        .get(&format!("/admin/v1/dead-letters/actions?letter={id}"))
        .await;
    let actions = actions.json(200);
    let done = &actions["actions"][0];
    assert_eq!((&done["action"], &done["actor"]), (&json!("correct"), &json!("ada")));
    assert_eq!(done["replaced"], before["envelope"], "the bytes it had are kept");
    let ran = opened.run_one().await;
    assert_eq!(
        (ran.task_id.to_string(), ran.invoice_id, ran.receipt_to.as_str()),
        (id, 70, CANARY)
    );
}

#[tokio::test]
async fn a_correction_that_the_contract_does_not_take_is_refused_with_the_reason_and_changes_nothing() {
    let place = Place::new();
    let id = dead_receipt(&place).await;
    let opened = place.open().await;
    let raw = unreadable(&opened).await;
    let path = format!("/admin/v1/dead-letters/{id}/replay");
    let whole = json!({ "organization_id": "1", "project_id": "2", "invoice_id": 7, "receipt_to": "x@y.example" });
    let with = |key: &str, value: Value| {
        let mut payload = whole.clone();
        payload[key] = value;
        json!({ "payload": payload }).to_string()
    };
    let table = [
        (path.as_str(), "{".to_owned(), 400, "body.invalid"),
        (&path, json!({ "pay_load": {} }).to_string(), 400, "body.invalid"),
        (&path, json!({ "payload": {} }).to_string(), 422, "payload.malformed"),
        (&path, with("invoice_id", json!("seven")), 422, "payload.malformed"),
        (&path, with("organization_id", json!("77")), 422, "tenant.mismatch"),
        (&path, with("receipt_to", json!("‹sealed›")), 422, "payload.malformed"),
        (
            &path,
            with("receipt_to", json!({ "sealed": "x" })),
            422,
            "crypto.malformed",
        ),
        (&path, with("organization_id", json!("a\u{0}")), 422, "payload.nul"),
        (
            &path,
            with("note", json!("x".repeat(300_000))),
            422,
            "payload.too_large",
        ),
        (
            &path,
            format!(r#"{{"payload": {}1{}}}"#, "[".repeat(80), "]".repeat(80)),
            422,
            "json.too_deep",
        ),
        (
            &raw,
            json!({ "payload": whole }).to_string(),
            422,
            "dead_letter.unreadable",
        ),
        ("/admin/v1/dead-letters/7/replay", String::new(), 400, "id.invalid"),
    ];
    for (path, body, status, code) in table {
        let answer = opened.api.send(Method::POST, path, body.clone()).await;
        assert!(!answer.problem(status, code).is_empty(), "{body}");
    }
    let left = opened.api.get("/admin/v1/dead-letters").await.json(200);
    assert_eq!(left["dead_letters"].as_array().unwrap().len(), 2);
    let actions = opened.api.get("/admin/v1/dead-letters/actions").await.json(200);
    assert_eq!(actions, json!({ "actions": [] }));
    opened.close().await;
}

/// A letter whose bytes are no task; answers the path of its replay.
async fn unreadable(opened: &OpenedPlace) -> String {
    let kit = opened.kit();
    let id = MessageId::new(&*kit.ids());
    let failure = Failure::new("envelope.malformed", ErrorClass::Permanent, "not JSON");
    let topic = "receipts".parse().unwrap();
    let letter = DeadLetter::new(id, topic, None, b"\x1b[31m{".to_vec(), 1, failure, kit.clock().now());
    kit.engine_ports().dead_letters.add(letter).await.unwrap();
    let path = format!("/admin/v1/dead-letters/{id}");
    let shown = opened.api.get(&path).await.json(200);
    assert_eq!(
        (&shown["excerpt"], &shown["envelope"]),
        (&json!("\u{1b}[31m{"), &Value::Null)
    );
    format!("{path}/replay")
}
