//! Waiting in a test until nothing is left to do.

use std::time::Duration;

use serde_json::json;

use crate::application::CANARY;
use crate::place::Place;

#[tokio::test]
async fn who_waits_until_nothing_is_left_has_seen_all_that_follows() {
    let opened = Place::new().open().await;
    opened.api.emit(4).await;
    let running = opened.start();
    running.running.until_idle(Duration::from_secs(20)).await.unwrap();
    let [ran] = &running.stop().await[..] else {
        panic!("one run")
    };
    assert_eq!(ran.invoice_id, 4);
}

#[tokio::test]
async fn who_waited_in_vain_is_told_what_is_left() {
    let opened = Place::new().open().await;
    let later = json!({ "organization_id": "1", "project_id": "2", "invoice_id": 5, "receipt_to": CANARY });
    let later = json!({ "topic": "receipts", "task": "send", "payload": later, "delay_ms": 3_600_000 });
    opened.api.post("/admin/v1/tasks", &later).await.json(202);
    let running = opened.start();
    let busy = running
        .running
        .until_idle(Duration::from_millis(200))
        .await
        .unwrap_err();
    let expected = "receipts: 0 waiting, 0 running, 1 waiting for their time";
    assert!(busy.to_string().contains(expected), "{busy}");
    running.stop().await;
}
