//! Every refusal is a problem document that names what is wrong.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::client::Client;

const JSON: &str = "application/json";

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let client = Client::new();
    let answer = client
        .post("/v1/organizations", json!({ "name": " ", "owner_email": "nobody" }))
        .await;
    answer.is_problem(422, "input.invalid");
    let named = answer.named_fields();
    assert_eq!(
        named,
        [
            ("name".to_owned(), "empty".to_owned()),
            ("owner_email".to_owned(), "invalid_email".to_owned())
        ]
    );
    assert_eq!(client.harness.store.count_rows(), 0);
}

#[tokio::test]
async fn a_missing_field_is_named() {
    let (client, _) = Client::signed_up().await;
    let answer = client.post("/v1/invitations", json!({})).await;
    answer.is_problem(422, "input.invalid");
    let missing = |field: &str| (field.to_owned(), "missing".to_owned());
    assert_eq!(answer.named_fields(), [missing("email"), missing("role")]);
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_named_by_its_path() {
    let (client, made) = Client::signed_up().await;
    let answer = client.post("/v1/projects", json!({ "name": 5 })).await;
    answer.is_problem(422, "input.invalid");
    assert_eq!(answer.named_fields(), [("name".to_owned(), "wrong_type".to_owned())]);

    let path = format!("/v1/projects/{}/records:batch", made["project_id"].as_str().unwrap());
    let records = json!({ "records": [{ "key": "a", "body": 1 }, { "key": ["b"], "body": 1 }] });
    let answer = client.post(&path, records).await;
    let named = answer.named_fields();
    assert_eq!(named, [("records[1].key".to_owned(), "wrong_type".to_owned())]);

    let answer = client.post(&path, json!([1])).await;
    assert_eq!(answer.named_fields()[0].1, "wrong_type");
}

#[tokio::test]
async fn a_field_nobody_knows_is_named() {
    let (client, _) = Client::signed_up().await;
    let answer = client.post("/v1/projects", json!({ "name": "P", "nmae": "x" })).await;
    answer.is_problem(422, "input.invalid");
    assert_eq!(answer.named_fields(), [("nmae".to_owned(), "unknown_field".to_owned())]);
}

#[tokio::test]
async fn an_unknown_role_is_named() {
    let (client, _) = Client::signed_up().await;
    let body = json!({ "email": "ada@example.com", "role": "king" });
    let answer = client.post("/v1/invitations", body).await;
    assert_eq!(answer.named_fields(), [("role".to_owned(), "unknown_role".to_owned())]);
}

#[tokio::test]
async fn what_is_no_json_is_told_with_its_place() {
    let client = Client::new();
    for text in ["", "{", "{\"name\": }", "name=Acme", "{} {}", "\u{feff}{}"] {
        let answer = client
            .send(Method::POST, "/v1/organizations", Some((JSON, text.into())))
            .await;
        answer.is_problem(400, "body.malformed");
        assert!(
            answer.body["detail"].as_str().unwrap().contains("line 1, column"),
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let client = Client::new();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        client
            .send(Method::POST, "/v1/organizations", Some((kind, "{}".into())))
            .await
            .is_problem(415, "body.not_json");
    }
    client
        .send(Method::POST, "/v1/organizations", None)
        .await
        .is_problem(415, "body.not_json");
    let with_charset = client
        .send(
            Method::POST,
            "/v1/organizations",
            Some(("application/json; charset=utf-8", "{}".into())),
        )
        .await;
    with_charset.is_problem(422, "input.invalid");
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_refused() {
    let client = Client::new();
    let text = format!("{{\"name\": \"{}\"}}", "x".repeat(1024 * 1024));
    client
        .send(Method::POST, "/v1/organizations", Some((JSON, text)))
        .await
        .is_problem(413, "body.too_large");
}

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_problems_too() {
    let client = Client::new();
    client
        .send(Method::GET, "/v1/nothing", None)
        .await
        .is_problem(404, "route.not_found");
    let answer = client.send(Method::PUT, "/v1/organizations", None).await;
    answer.is_problem(405, "route.method_not_allowed");
    assert_eq!(answer.headers["allow"], "POST");
}

#[tokio::test]
async fn an_id_that_is_none_names_nothing() {
    let (client, _) = Client::signed_up().await;
    for path in ["/v1/invitations/x", "/v1/projects/%20", "/v1/api-keys/1"] {
        client.delete(path).await.is_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_commit_that_failed_is_503_and_wrote_nothing() {
    let (client, _) = Client::signed_up().await;
    let before = client.harness.store.snapshot();
    client.harness.store.refuse_commits(true);
    let answer = client
        .post(
            "/v1/invitations",
            json!({ "email": "ada@example.com", "role": "member" }),
        )
        .await;
    answer.is_problem(503, "commit.rolled_back");
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(
        !answer.body.to_string().contains("told to refuse"),
        "the inside is for the operator"
    );
    assert_eq!(client.harness.store.snapshot(), before);
    assert!(client.harness.take_events().await.is_empty());

    client.harness.store.refuse_commits(false);
    let again = client
        .post(
            "/v1/invitations",
            json!({ "email": "ada@example.com", "role": "member" }),
        )
        .await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
}
