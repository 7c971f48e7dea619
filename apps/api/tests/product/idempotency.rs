//! Repeating a request with its `Idempotency-Key` changes nothing.

use aftercommit_domain::time::days;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::client::Client;

#[tokio::test]
async fn a_repeated_request_is_answered_the_same_and_changes_nothing() {
    let (client, made) = Client::signed_up().await;
    let client = client.with("idempotency-key", "key-1");
    let batch = format!("/v1/projects/{}/records:batch", made["project_id"].as_str().unwrap());
    let requests: Vec<(&str, Value)> = vec![
        (
            "/v1/organizations",
            json!({ "name": "Next", "owner_email": "next@example.com" }),
        ),
        ("/v1/projects", json!({ "name": "P" })),
        (
            "/v1/invitations",
            json!({ "email": "ada@example.com", "role": "member" }),
        ),
        ("/v1/magic-links", json!({ "email": "ada@example.com" })),
        ("/v1/api-keys", json!({})),
        (&batch, json!({ "records": [{ "key": "a", "body": 1 }] })),
    ];
    for (path, body) in requests {
        let first = client.post(path, body.clone()).await;
        assert!(first.status.is_success(), "{path}: {first:?}");
        client.harness.take_events().await;
        let before = client.harness.store.snapshot();
        let again = client.post(path, body).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{path}");
        assert_eq!(client.harness.store.snapshot(), before, "{path}");
        assert!(client.harness.take_events().await.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn without_a_key_a_repeated_request_is_another_one() {
    let (client, _) = Client::signed_up().await;
    let first = client.post("/v1/projects", json!({ "name": "P" })).await;
    let second = client.post("/v1/projects", json!({ "name": "P" })).await;
    assert_ne!(first.body, second.body);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let (client, _) = Client::signed_up().await;
    let client = client.with("idempotency-key", "key-1");
    let first = client.post("/v1/projects", json!({ "name": "P" })).await;
    assert_eq!(first.status, StatusCode::CREATED);
    client
        .post("/v1/projects", json!({ "name": "Q" }))
        .await
        .is_problem(422, "idempotency_key.reused");
}

#[tokio::test]
async fn a_key_is_one_organizations_own() {
    let (client, _) = Client::signed_up().await;
    let other = client.with_key(&client.sign_up("Other", "owner@other.test").await);
    let body = json!({ "name": "P" });
    let first = client
        .with("idempotency-key", "key-1")
        .post("/v1/projects", body.clone())
        .await;
    let second = other.with("idempotency-key", "key-1").post("/v1/projects", body).await;
    assert_eq!(second.status, StatusCode::CREATED);
    assert_ne!(first.body, second.body);
}

#[tokio::test]
async fn a_request_that_was_refused_or_rolled_back_may_be_tried_again_under_its_key() {
    let (client, _) = Client::signed_up().await;
    let client = client.with("idempotency-key", "key-1");
    client
        .post("/v1/projects", json!({ "name": "" }))
        .await
        .is_problem(422, "input.invalid");
    client.harness.store.refuse_commits(true);
    client
        .post("/v1/projects", json!({ "name": "P" }))
        .await
        .is_problem(503, "commit.rolled_back");
    client.harness.store.refuse_commits(false);
    let made = client.post("/v1/projects", json!({ "name": "P" })).await;
    assert_eq!(made.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let (client, _) = Client::signed_up().await;
    for bad in [String::new(), "x".repeat(201), "é".into()] {
        let answer = client
            .with("idempotency-key", bad)
            .post("/v1/projects", json!({ "name": "P" }))
            .await;
        answer.is_problem(422, "input.invalid");
        let named = answer.named_fields();
        assert_eq!(named, [("Idempotency-Key".to_owned(), "invalid_key".to_owned())]);
    }
}

#[tokio::test]
async fn after_a_day_a_key_is_free_again() {
    let (client, _) = Client::signed_up().await;
    let client = client.with("idempotency-key", "key-1");
    let first = client.post("/v1/projects", json!({ "name": "P" })).await;
    client
        .harness
        .services
        .clock
        .advance(days(1) + std::time::Duration::from_secs(1));
    let second = client.post("/v1/projects", json!({ "name": "P" })).await;
    assert_eq!(second.status, StatusCode::CREATED);
    assert_ne!(first.body, second.body);
}
