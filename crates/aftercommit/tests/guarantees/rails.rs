//! The two ways an event takes: with a transaction of the application's own, and directly.

use aftercommit::prelude::*;
use serde_json::json;

use crate::application::{CANARY, invoice_paid};
use crate::place::{OpenedPlace, Place};

/// Writes an event in a transaction of the application's own.
async fn pay(place: &OpenedPlace, invoice_id: i64, commits: bool) {
    let mut tx = place.kit().sqlite().unwrap().begin().await.unwrap();
    place
        .kit()
        .create_outbox_writer(&mut tx, &Tenant::project(1, 2), &Cause::root())
        .write(invoice_paid(invoice_id))
        .await
        .unwrap();
    if commits {
        tx.commit().await.unwrap();
    } else {
        tx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn a_transaction_that_rolls_back_sends_nothing_and_one_that_commits_reaches_its_handler() {
    let place = Place::new();
    let opened = place.open().await;
    pay(&opened, 1, false).await;
    pay(&opened, 2, true).await;
    let mut running = opened.start();
    let ran = running.ran().await;
    assert_eq!((ran.invoice_id, ran.receipt_to.as_str()), (2, CANARY));
    assert!(
        running.stop().await.is_empty(),
        "the event that was rolled back was sent"
    );
    let opened = place.open().await;
    let listed = opened.api.get("/admin/v1/events").await.json(200);
    assert_eq!(listed["events"].as_array().unwrap().len(), 1);
    opened.close().await;
}

#[tokio::test]
async fn an_event_published_directly_reaches_its_handler_without_an_outbox_row() {
    let place = Place::new();
    let opened = place.open().await;
    let publisher = opened.kit().events_publisher();
    let envelopes = opened.kit().envelopes();
    let event_id = publisher
        .publish_direct(envelopes, invoice_paid(3), &Cause::root())
        .await
        .unwrap();
    let status = opened.api.get("/admin/v1/outbox").await.json(200);
    assert_eq!((&status["waiting"], &status["claimed"]), (&json!(0), &json!(0)));

    let ran = opened.run_one().await;
    assert_eq!(ran.invoice_id, 3);
    let opened = place.open().await;
    let task = opened
        .api
        .get(&format!("/admin/v1/tasks/{}", ran.task_id))
        .await
        .json(200);
    assert_eq!(task["causation_id"], event_id.to_string());
    assert_eq!(task["correlation_id"], event_id.to_string());
    let shown = opened.api.get(&format!("/admin/v1/events/{event_id}")).await.json(200);
    assert_eq!(shown["event"]["id"], event_id.to_string());
    opened.close().await;
}
