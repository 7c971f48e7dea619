//! Deleting people, and keeping them.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::workflow_requests::requests;

fn path(made: &Value) -> String {
    format!("/v1/users/{}", made["user_id"].as_str().unwrap())
}

async fn keep(client: &Client, path: &str) -> Answer {
    client.send(Method::POST, &format!("{path}/keep"), None).await
}

/// The workflow that deletes who made this organization, as it is asked for.
fn deletion(made: &Value) -> String {
    let text = |name: &str| made[name].as_str().unwrap();
    let (organization, user) = (text("organization_id"), text("user_id"));
    format!("{organization}/-/user-deletion/{user}")
}

#[tokio::test]
async fn deleting_a_member_starts_their_deletion_and_keeping_them_tells_it_with_one_transaction_each() {
    let (client, made) = Client::signed_up().await;
    let answer = client.delete(path(&made)).await;
    assert_eq!(
        (answer.status, answer.body),
        (StatusCode::ACCEPTED, json!({ "user_id": made["user_id"] }))
    );
    assert_eq!(requests(&client).await, [("start".to_owned(), deletion(&made))]);
    for _ in 0..2 {
        let kept = keep(&client, &path(&made)).await;
        assert_eq!(
            (kept.status, kept.body),
            (StatusCode::ACCEPTED, json!({ "user_id": made["user_id"] }))
        );
        assert_eq!(requests(&client).await, [("signal keep".to_owned(), deletion(&made))]);
    }
    client.harness.store.refuse_commits(true);
    for refused in [client.delete(path(&made)).await, keep(&client, &path(&made)).await] {
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
    }
    assert_eq!(requests(&client).await, []);
}

#[tokio::test]
async fn through_the_key_of_one_organization_a_member_of_others_is_not_deleted() {
    let (client, made) = Client::signed_up().await;
    let other = client.sign_up("Umbrella", "owner@acme.test").await;
    assert_eq!(other["user_id"], made["user_id"]);
    requests(&client).await;
    for key in [&made, &other] {
        let refused = client.with_key(key).delete(path(&made)).await;
        refused.is_problem(409, "user.in_other_organizations");
    }
    assert_eq!(requests(&client).await, []);
}

#[tokio::test]
async fn somebody_of_another_organization_is_neither_deleted_nor_kept() {
    let (client, made) = Client::signed_up().await;
    let other = client.sign_up("Umbrella", "owner@umbrella.test").await;
    let stranger = client.with_key(&other);
    requests(&client).await;
    for path in [path(&made), "/v1/users/nobody".to_owned()] {
        stranger.delete(&path).await.is_problem(404, "not_found");
        keep(&stranger, &path).await.is_problem(404, "not_found");
    }
    let anonymous = client.without("authorization");
    anonymous.delete(path(&made)).await.is_problem(401, "api_key.not_valid");
    keep(&anonymous, &path(&made))
        .await
        .is_problem(401, "api_key.not_valid");
    assert_eq!(requests(&client).await, []);
}
