//! Many dead letters at once, and events replayed.

use std::time::Duration;

use aftercommit::domain::contract::{Limits, TaskEnvelope};
use aftercommit::domain::failure::{ErrorClass, Failure};
use aftercommit::domain::tasks::DeadLetter;
use axum::http::Method;
use serde_json::{Value, json};

use crate::application::CANARY;
use crate::dead_letters::ask_as;
use crate::place::{OpenedPlace, Place};

/// Letters of receipts, all of one trouble.
async fn dead_receipts(opened: &OpenedPlace, number: i64) {
    let kit = opened.kit();
    for invoice_id in 0..number {
        let failure = Failure::new(
            "printer.gone",
            ErrorClass::Permanent,
            format!("printer {invoice_id} is gone"),
        );
        let body = format!(
            r#"{{"id":"{}","topic":"receipts","task":"send","version":1,"organization_id":"1","project_id":"2","enqueued_at":"2026-01-01T00:00:00Z","first_enqueued_at":"2026-01-01T00:00:00Z","payload":{{}}}}"#,
            kit.ids().next()
        );
        let task = TaskEnvelope::decode(body.as_bytes(), &Limits::default()).unwrap();
        let now = kit.clock().now();
        let letter = DeadLetter::new(task.id, task.topic.clone(), Some(task), body.into(), 1, failure, now);
        kit.engine_ports().dead_letters.add(letter).await.unwrap();
    }
}

#[tokio::test]
async fn many_letters_are_discarded_in_steps_by_whoever_asks_and_a_second_order_goes_on_with_the_first() {
    let place = Place::new();
    let opened = place.open().await;
    dead_receipts(&opened, 250).await;
    let groups = opened
        .api
        .get("/admin/v1/dead-letters/groups?topic=receipts")
        .await
        .json(200);
    assert_eq!(
        (&groups["letters"], &groups["groups"][0]["letters"]),
        (&json!(250), &json!(250))
    );
    let fingerprint = groups["groups"][0]["fingerprint"].as_str().unwrap().to_owned();
    let order = json!({ "what": "discard_dead_letters", "filter": { "fingerprint": fingerprint } });
    let runs = "/admin/v1/bulk-runs";
    let first = ask_as(&opened, "ada", Method::POST, runs, order.clone())
        .await
        .json(202);
    let second = ask_as(&opened, "bob", Method::POST, runs, order).await.json(202);
    assert_eq!((&first["goes_on"], &second["goes_on"]), (&json!(false), &json!(true)));
    assert_eq!(
        (&first["run"]["id"], &first["run"]["actor"]),
        (&second["run"]["id"], &json!("ada"))
    );
    assert_eq!(first["run"]["matched"], 250);
    let path = format!("{runs}/{}", first["run"]["id"].as_str().unwrap());
    let mut biggest_step = 0;
    let mut done = 0;
    while opened.api.get(&path).await.json(200)["state"] == "going" {
        let step = opened.api.post(&format!("{path}/step"), &json!({})).await.json(200);
        let now = step["run"]["done"].as_u64().unwrap();
        biggest_step = biggest_step.max(now - done);
        done = now;
        tokio::time::sleep(Duration::from_millis(step["wait_ms"].as_u64().unwrap())).await;
    }
    assert_eq!(done, 250);
    assert!(biggest_step <= 100, "{biggest_step} in one step");
    let listed = opened.api.get(&format!("{runs}?limit=1")).await.json(200);
    assert_eq!(
        (&listed["bulk_runs"][0]["state"], &listed["bulk_runs"][0]["done"]),
        (&json!("done"), &json!(250))
    );
    let actions = opened
        .api
        .get("/admin/v1/dead-letters/actions?limit=1000")
        .await
        .json(200);
    assert_eq!(actions["actions"].as_array().unwrap().len(), 250, "each is recorded");
    opened.close().await;
}

#[tokio::test]
async fn bad_orders_are_refused_with_their_code_and_nothing_begins() {
    let place = Place::new();
    let opened = place.open().await;
    let unknown = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";
    let (runs, preview) = ("/admin/v1/bulk-runs", "/admin/v1/events/replay-preview");
    let replay = |filter: Value| json!({ "what": "replay_dead_letters", "filter": filter });
    let events = |selection: Value| json!({ "what": "replay_events", "selection": selection });
    let of = |name: &str| json!({ "filter": { "name": name } });
    let many: Vec<&str> = std::iter::repeat_n(unknown, 1001).collect();
    let orders = [
        (runs, json!({}), 422, "body.invalid"),
        (
            runs,
            json!({ "what": "drop_everything", "filter": {} }),
            422,
            "body.invalid",
        ),
        (runs, replay(json!({ "topik": "x" })), 422, "body.invalid"),
        (runs, replay(json!({ "topic": "No Topic" })), 422, "body.invalid"),
        (runs, replay(json!({ "code": "x".repeat(201) })), 400, "query.invalid"),
        (runs, replay(json!({ "fingerprint": "a\u{0}" })), 400, "query.invalid"),
        (runs, events(json!({})), 400, "body.invalid"),
        (runs, events(json!({ "ids": many })), 400, "body.invalid"),
        (
            runs,
            events(json!({ "ids": [unknown.to_uppercase()] })),
            422,
            "body.invalid",
        ),
        (
            runs,
            events(json!({ "ids": ["00000000-0000-0000-0000-000000000000"] })),
            422,
            "body.invalid",
        ),
        (runs, events(of("InvoiceLost")), 422, "route.unknown"),
        (preview, of("InvoiceLost"), 422, "route.unknown"),
        (preview, json!({}), 400, "body.invalid"),
    ];
    for (path, body, status, code) in orders {
        opened.api.post(path, &body).await.problem(status, code);
    }
    for rate in ["fast", "0/s", "10001/s", "-1/s", "1.5/s", ""] {
        let mut body = replay(json!({}));
        body["rate"] = json!(rate);
        opened.api.post(runs, &body).await.problem(422, "body.invalid");
    }
    for (path, status, code) in [
        ("/admin/v1/bulk-runs/7".to_owned(), 400, "id.invalid"),
        (format!("/admin/v1/bulk-runs/{unknown}"), 404, "not_found"),
        ("/admin/v1/bulk-runs?limit=-1".to_owned(), 400, "query.invalid"),
        ("/admin/v1/dead-letters?topik=x".to_owned(), 400, "query.invalid"),
        (
            "/admin/v1/dead-letters?since=yesterday".to_owned(),
            400,
            "query.invalid",
        ),
        (
            "/admin/v1/dead-letters/groups?code=%00".to_owned(),
            400,
            "query.invalid",
        ),
        (
            "/admin/v1/dead-letters/actions?letter=7".to_owned(),
            400,
            "query.invalid",
        ),
    ] {
        opened.api.get(&path).await.problem(status, code);
    }
    let step = format!("/admin/v1/bulk-runs/{unknown}/step");
    opened.api.post(&step, &json!({})).await.problem(404, "not_found");
    let nameless = ask_as(&opened, " ", Method::POST, runs, replay(json!({}))).await;
    nameless.problem(400, "operator.invalid");
    let listed = opened.api.get(runs).await.json(200);
    assert_eq!(listed, json!({ "bulk_runs": [] }), "nothing began");
    opened.close().await;
}

#[tokio::test]
async fn a_replay_of_events_runs_what_they_lead_to_once_more_and_once_for_each_replay_id() {
    let place = Place::new();
    let opened = place.open().await;
    let event = opened.api.emit(7).await;
    let first = opened.run_one().await;
    let opened = place.open().await;
    let selection = json!({ "ids": [event], "route": { "topic": "receipts", "task": "send" } });
    let preview = opened
        .api
        .post("/admin/v1/events/replay-preview", &selection)
        .await
        .json(200);
    assert_eq!(preview["tasks"], json!({ "receipts/send": 1 }));
    let order = json!({ "what": "replay_events", "selection": selection });
    let mut ids = Vec::new();
    for goes_on in [false, true] {
        let mut order = order.clone();
        if let Some(id) = ids.first() {
            order["id"] = json!(id);
        }
        let begun = opened.api.post("/admin/v1/bulk-runs", &order).await.json(202);
        assert_eq!(begun["goes_on"], goes_on);
        let id = begun["run"]["id"].as_str().unwrap().to_owned();
        let step = opened
            .api
            .post(&format!("/admin/v1/bulk-runs/{id}/step"), &json!({}))
            .await
            .json(200);
        assert_eq!(
            (&step["run"]["state"], &step["run"]["tasks"]),
            (&json!("done"), &json!(1))
        );
        ids.push(id);
    }
    let mut running = opened.start();
    let again = running.ran().await;
    assert_ne!(again.task_id, first.task_id, "a new task");
    assert_eq!(
        (again.invoice_id, again.receipt_to.as_str()),
        (7, CANARY),
        "its secret sealed anew"
    );
    assert!(running.stop().await.is_empty(), "once for a replay id");
}
