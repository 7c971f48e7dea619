//! Events as operators emit and see them.

use serde_json::json;

use crate::application::CANARY;
use crate::place::Place;

#[tokio::test]
async fn an_emitted_event_waits_in_the_outbox_and_reaches_its_handler_once_the_engine_runs() {
    let place = Place::new();
    let opened = place.open().await;
    let event_id = opened.api.emit(7).await;
    let status = opened.api.get("/admin/v1/outbox").await.json(200);
    assert_eq!(status["waiting"], 1);
    let listed = opened.api.get("/admin/v1/events").await.json(200);
    assert_eq!(listed["events"], json!([]), "it is not published yet");

    let ran = opened.run_one().await;
    assert_eq!((ran.invoice_id, ran.receipt_to.as_str()), (7, CANARY));

    let opened = place.open().await;
    let listed = opened
        .api
        .get("/admin/v1/events?name=InvoicePaid&organization_id=1")
        .await;
    let listed = listed.json(200);
    assert_eq!(listed["events"].as_array().unwrap().len(), 1);
    let shown = opened.api.get(&format!("/admin/v1/events/{event_id}")).await.json(200);
    assert_eq!(shown, listed["events"][0]);
    assert_eq!(shown["event"]["id"], event_id.as_str());
    assert_eq!(shown["event"]["source"], "/tests");
    let others = opened.api.get("/admin/v1/events?organization_id=2").await.json(200);
    assert_eq!(others["events"], json!([]));
    let task = opened
        .api
        .get(&format!("/admin/v1/tasks/{}", ran.task_id))
        .await
        .json(200);
    assert_eq!(task["state"], "completed");
    assert_eq!(task["causation_id"], event_id.as_str());
    opened.close().await;
}

#[tokio::test]
async fn a_secret_given_in_clear_is_sealed_in_what_is_shown_and_in_every_file() {
    let place = Place::new();
    let opened = place.open().await;
    let event_id = opened.api.emit(7).await;
    opened.run_one().await;
    let opened = place.open().await;
    // Every answer of a test is searched for the canary.
    let shown = opened.api.get(&format!("/admin/v1/events/{event_id}")).await.json(200);
    let sealed = shown["event"]["data"]["receipt_to"]["sealed"].as_str().unwrap();
    assert!(sealed.contains(':'), "{sealed}");
    opened.close().await;
    let mut files = 0;
    for entry in std::fs::read_dir(place.data()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(
            !bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()),
            "{}",
            path.display()
        );
        files += 1;
    }
    assert!(files > 1, "only {files} files were searched");
}

#[tokio::test]
async fn an_event_that_is_none_is_refused_and_nothing_is_written() {
    let place = Place::new().open().await;
    let emit = async |name: &str, payload| {
        let body = json!({ "name": name, "payload": payload });
        place.api.post("/admin/v1/events", &body).await
    };
    let detail = emit("InvoiceLost", json!({})).await.problem(422, "handler.unknown");
    assert!(detail.contains("InvoiceLost"), "{detail}");
    let incomplete = json!({ "organization_id": "1", "project_id": "2", "receipt_to": CANARY });
    let detail = emit("InvoicePaid", incomplete).await.problem(422, "payload.malformed");
    assert!(detail.contains("invoice_id"), "{detail}");
    let wrong_kind = json!({ "organization_id": "1", "project_id": "2", "receipt_to": CANARY, "invoice_id": "seven" });
    emit("InvoicePaid", wrong_kind).await.problem(422, "payload.malformed");
    let no_tenant = json!({ "invoice_id": 1, "receipt_to": CANARY });
    emit("InvoicePaid", no_tenant).await.problem(422, "payload.malformed");
    assert_eq!(place.api.get("/admin/v1/outbox").await.json(200)["waiting"], 0);
    place.close().await;
}

#[tokio::test]
async fn the_outbox_tells_what_waits_and_for_how_long() {
    let place = Place::new().open().await;
    let empty = place.api.get("/admin/v1/outbox").await.json(200);
    assert_eq!(
        empty,
        json!({
            "waiting": 0, "claimed": 0, "quarantined": 0, "oldest": null, "oldest_age_seconds": null,
            "set_aside": [], "topics": [],
        })
    );
    place.api.emit(7).await;
    let status = place.api.get("/admin/v1/outbox").await.json(200);
    assert_eq!(status["waiting"], 1);
    assert!(status["oldest"].is_string());
    assert!((0.0..20.0).contains(&status["oldest_age_seconds"].as_f64().unwrap()));
    place.close().await;
}
