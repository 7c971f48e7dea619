//! Dead letters as operators see, replay and discard them.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;

use crate::place::Place;

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
