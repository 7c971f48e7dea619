//! What members want to be told by e-mail.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Answer, Client};

async fn put(client: &Client, path: &str, body: Value) -> Answer {
    let body = Some(("application/json", body.to_string()));
    client.send(Method::PUT, path, body).await
}

#[tokio::test]
async fn a_member_is_told_everything_until_they_say_otherwise_and_is_no_stranger() {
    let (client, made) = Client::signed_up().await;
    let path = format!(
        "/v1/users/{}/notification-preferences",
        made["user_id"].as_str().unwrap()
    );
    let all = json!({"incident_emails": true, "digest_emails": true});
    let shown = client.send(Method::GET, &path, None).await;
    assert_eq!((shown.status, shown.body), (StatusCode::OK, all));
    let fewer = json!({"incident_emails": false, "digest_emails": true});
    for _ in 0..2 {
        let kept = put(&client, &path, fewer.clone()).await;
        assert_eq!((kept.status, &kept.body), (StatusCode::OK, &fewer));
    }
    assert_eq!(client.send(Method::GET, &path, None).await.body, fewer);

    let half = put(&client, &path, json!({"incident_emails": false})).await;
    half.is_problem(422, "input.invalid");
    let unknown = put(
        &client,
        &path,
        json!({"incident_emails": false, "digest_emails": true, "sms": true}),
    )
    .await;
    unknown.is_problem(422, "input.invalid");
    let other = client.sign_up("Umbrella", "owner@umbrella.test").await;
    let foreign = client.with_key(&other);
    foreign
        .send(Method::GET, &path, None)
        .await
        .is_problem(404, "not_found");
    put(&foreign, &path, fewer).await.is_problem(404, "not_found");
    let nobody = "/v1/users/nobody/notification-preferences";
    client
        .send(Method::GET, nobody, None)
        .await
        .is_problem(404, "not_found");
}
