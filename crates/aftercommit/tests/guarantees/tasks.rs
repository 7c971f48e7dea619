//! Tasks as operators publish and see them.

use serde_json::{Value, json};

use crate::application::CANARY;
use crate::place::{Answer, Api, Place};

async fn publish(api: &Api, topic: &str, task: &str, payload: Value, delay_ms: u64) -> Answer {
    let body = json!({ "topic": topic, "task": task, "payload": payload, "delay_ms": delay_ms });
    api.post("/admin/v1/tasks", &body).await
}

fn receipt() -> Value {
    json!({ "organization_id": "1", "project_id": "2", "invoice_id": 7, "receipt_to": CANARY })
}

#[tokio::test]
async fn a_published_task_runs_and_one_with_a_delay_is_scheduled() {
    let place = Place::new();
    let opened = place.open().await;
    let now = publish(&opened.api, "receipts", "send", receipt(), 0).await.json(202);
    let later = publish(&opened.api, "receipts", "send", receipt(), 3_600_000)
        .await
        .json(202);
    let id = |answer: &Value| answer["task_id"].as_str().unwrap().to_owned();
    let path = format!("/admin/v1/tasks/{}", id(&later));
    let shown = opened.api.get(&path).await.json(200);
    assert_eq!(shown["state"], "scheduled");
    assert!(shown["due_at"].as_str().unwrap() > shown["enqueued_at"].as_str().unwrap());
    assert!(shown["payload"]["receipt_to"]["sealed"].is_string(), "{shown}");

    let mut running = opened.start();
    assert_eq!(running.ran().await.task_id.to_string(), id(&now));
    assert!(running.stop().await.is_empty(), "the delayed task ran");

    let opened = place.open().await;
    let scheduled = opened
        .api
        .get("/admin/v1/tasks?state=scheduled&topic=receipts")
        .await
        .json(200);
    assert_eq!(scheduled["tasks"].as_array().unwrap().len(), 1);
    assert_eq!(scheduled["tasks"][0]["id"], id(&later));
    let completed = opened
        .api
        .get("/admin/v1/tasks?state=completed&limit=1")
        .await
        .json(200);
    assert_eq!(completed["tasks"][0]["id"], id(&now));
    opened.close().await;
}

#[tokio::test]
async fn a_task_that_is_none_is_refused() {
    let place = Place::new().open().await;
    let (api, too_long) = (&place.api, 400 * 365 * 86_400_000);
    let detail = publish(api, "receipts", "lose", receipt(), 0)
        .await
        .problem(422, "handler.unknown");
    assert!(detail.contains("receipts/lose"), "{detail}");
    publish(api, "nowhere", "send", receipt(), 0)
        .await
        .problem(422, "handler.unknown");
    publish(api, "receipts", "send", json!({}), 0)
        .await
        .problem(422, "payload.malformed");
    publish(api, "receipts", "send", receipt(), too_long)
        .await
        .problem(422, "delay.out_of_range");
    publish(api, "receipts", "send", receipt(), u64::MAX)
        .await
        .problem(422, "delay.out_of_range");
    publish(api, "not a topic", "send", receipt(), 0)
        .await
        .problem(422, "body.invalid");
    assert_eq!(api.get("/admin/v1/tasks").await.json(200)["tasks"], json!([]));
    place.close().await;
}
