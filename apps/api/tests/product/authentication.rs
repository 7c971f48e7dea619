//! API keys and tenants.

use axum::http::StatusCode;
use serde_json::json;

use crate::client::Client;

#[tokio::test]
async fn a_missing_a_wrong_and_a_revoked_key_get_the_same_401() {
    let (client, made) = Client::signed_up().await;
    let other = client.post("/v1/api-keys", json!({})).await;
    assert_eq!(other.status, StatusCode::CREATED);
    let id = other.body["api_key_id"].as_str().unwrap();
    let revoked = client.delete(format!("/v1/api-keys/{id}")).await;
    assert_eq!(revoked.status, StatusCode::OK);

    let key = made["api_key"].as_str().unwrap();
    let anonymous = client.without("authorization");
    let mut answers = vec![anonymous.post("/v1/projects", json!({ "name": "P" })).await];
    for bad in [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        format!("Basic {key}"),
        format!("Bearer {key}x"),
        format!("Bearer ak_{}", "0".repeat(96)),
        format!("Bearer {}", other.body["api_key"].as_str().unwrap()),
    ] {
        let answer = client
            .with("authorization", bad)
            .post("/v1/projects", json!({ "name": "P" }))
            .await;
        answers.push(answer);
    }
    for answer in &answers {
        answer.is_problem(401, "api_key.not_valid");
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"aftercommit\"");
        assert_eq!(answer.body, answers[0].body);
    }
}

#[tokio::test]
async fn without_a_key_nothing_else_about_the_request_is_told() {
    let client = Client::new();
    client
        .post("/v1/invitations", json!({ "nonsense": true }))
        .await
        .is_problem(401, "api_key.not_valid");
}

#[tokio::test]
async fn what_belongs_to_another_tenant_does_not_exist() {
    let (client, made) = Client::signed_up().await;
    let other = client.with_key(&client.sign_up("Other", "owner@other.test").await);
    let invited = client
        .post(
            "/v1/invitations",
            json!({ "email": "ada@example.com", "role": "member" }),
        )
        .await;
    let before = client.harness.store.snapshot();

    let project = made["project_id"].as_str().unwrap();
    let invitation = invited.body["invitation_id"].as_str().unwrap();
    let keys = client.post("/v1/api-keys", json!({})).await;
    let key = keys.body["api_key_id"].as_str().unwrap();
    let before_foreign = client.harness.store.snapshot();
    assert_ne!(before, before_foreign);
    let answers = [
        other.delete(format!("/v1/projects/{project}")).await,
        other.delete(format!("/v1/invitations/{invitation}")).await,
        other.delete(format!("/v1/api-keys/{key}")).await,
        other
            .post(
                &format!("/v1/projects/{project}/records:batch"),
                json!({ "records": [{ "key": "a", "body": 1 }] }),
            )
            .await,
        other
            .post(
                "/v1/invitations",
                json!({ "email": "ada@example.com", "role": "member", "project_id": project }),
            )
            .await,
        other.post("/v1/api-keys", json!({ "project_id": project })).await,
    ];
    for answer in answers {
        answer.is_problem(404, "not_found");
    }
    assert_eq!(client.harness.store.snapshot(), before_foreign);
}

#[tokio::test]
async fn nobody_can_revoke_the_last_key() {
    let (client, made) = Client::signed_up().await;
    let key = made["api_key"].as_str().unwrap();
    let id = uuid_of(key);
    client
        .delete(format!("/v1/api-keys/{id}"))
        .await
        .is_problem(409, "api_key.last");
}

/// `ak_<id>_…` as the id is written elsewhere.
fn uuid_of(key: &str) -> String {
    let hex = key.split('_').nth(1).unwrap();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}
