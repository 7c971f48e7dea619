//! Webhooks of a project.

use aftercommit_domain::reference::webhooks::{WebhookEndpointCreated, WebhookEndpointDeleted};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Answer, Client};

const URL: &str = "https://hooks.example.com/acme";

fn path(made: &Value) -> String {
    format!("/v1/projects/{}/webhooks", made["project_id"].as_str().unwrap())
}

async fn create(client: &Client, made: &Value, url: &str) -> Answer {
    let body = json!({ "url": url, "events": ["ProjectDeleted", "MemberJoined", "ProjectDeleted"] });
    client.post(&path(made), body).await
}

async fn list(client: &Client, path: &str) -> Answer {
    client.send(Method::GET, path, None).await
}

#[tokio::test]
async fn a_webhook_is_made_listed_without_its_secret_and_deleted() {
    let (client, made) = Client::signed_up().await;
    let created = create(&client, &made, URL).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
    assert!(created.body["secret"].as_str().unwrap().starts_with("whsec_"));
    let id = created.body["webhook_id"].as_str().unwrap();
    let events = client.harness.take_events().await;
    let event: WebhookEndpointCreated = client.harness.read(&events[0]);
    assert_eq!(event.webhook_id.to_string(), id);

    let listed = list(&client, &path(&made)).await;
    assert_eq!(listed.status, StatusCode::OK);
    assert_eq!(
        listed.body,
        json!({ "webhooks": [{
            "webhook_id": id,
            "url": URL,
            "events": ["MemberJoined", "ProjectDeleted"],
            "created_at": client.harness.ports.now(),
            "state": "active",
            "failures": 0,
        }] })
    );

    let one = format!("{}/{id}", path(&made));
    assert_eq!(client.delete(&one).await.status, StatusCode::OK);
    let events = client.harness.take_events().await;
    let event: WebhookEndpointDeleted = client.harness.read(&events[0]);
    assert_eq!(event.webhook_id.to_string(), id);
    client.delete(&one).await.is_problem(404, "not_found");
    assert_eq!(list(&client, &path(&made)).await.body, json!({ "webhooks": [] }));
}

#[tokio::test]
async fn an_address_that_nothing_is_sent_to_is_refused_with_the_reason_and_what_is_allowed() {
    let (client, made) = Client::signed_up().await;
    let long = format!("https://example.com/{}", "a".repeat(4096));
    for url in [
        "http://169.254.169.254",
        "http://hooks.example.com/",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
        "https://localhost./",
        "https://user@hooks.example.com/",
        "https://hooks.example.com:22/",
        "https://\u{430}pple.com/",
        "nonsense",
        &long,
    ] {
        let answer = create(&client, &made, url).await;
        answer.is_problem(422, "input.invalid");
        assert_eq!(answer.named_fields(), [("url".into(), "url.forbidden".into())], "{url}");
        let detail = answer.body["errors"][0]["detail"].as_str().unwrap();
        assert!(
            detail.contains("; allowed is an https:// address of a public host"),
            "{detail}"
        );
        assert!(!detail.contains("10.0.0.1") && !detail.contains("user@"), "{detail}");
    }
    assert!(client.harness.take_events().await.is_empty());
}

#[tokio::test]
async fn every_bad_field_of_a_webhook_is_named_at_once() {
    let (client, made) = Client::signed_up().await;
    for (body, fields) in [
        (json!({}), vec![("url", "missing"), ("events", "missing")]),
        (
            json!({ "url": "ftp://x", "events": [] }),
            vec![("url", "url.forbidden"), ("events", "empty")],
        ),
        (
            json!({ "url": URL, "events": ["MemberJoined", "Nonsense", "nothing"] }),
            vec![("events[1]", "unknown_event"), ("events[2]", "unknown_event")],
        ),
        (
            json!({ "url": URL, "events": vec!["MemberJoined"; 11] }),
            vec![("events", "too_many")],
        ),
        (json!({ "url": 7, "events": [] }), vec![("url", "wrong_type")]),
    ] {
        let answer = client.post(&path(&made), body).await;
        answer.is_problem(422, "input.invalid");
        let fields: Vec<_> = fields.into_iter().map(|(f, c)| (f.to_owned(), c.to_owned())).collect();
        assert_eq!(answer.named_fields(), fields);
    }
}

#[tokio::test]
async fn a_project_has_at_most_twenty_webhooks() {
    let (client, made) = Client::signed_up().await;
    for _ in 0..20 {
        assert_eq!(create(&client, &made, URL).await.status, StatusCode::CREATED);
    }
    create(&client, &made, URL).await.is_problem(409, "webhook.too_many");
}

#[tokio::test]
async fn the_same_request_with_a_key_makes_one_webhook_and_shows_the_same_secret() {
    let (client, made) = Client::signed_up().await;
    let client = client.with("idempotency-key", "once");
    let (first, again) = (create(&client, &made, URL).await, create(&client, &made, URL).await);
    assert_eq!(first.body, again.body);
    let listed = list(&client.without("idempotency-key"), &path(&made)).await;
    assert_eq!(listed.body["webhooks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn webhooks_of_another_organization_are_not_found() {
    let (client, made) = Client::signed_up().await;
    let created = create(&client, &made, URL).await;
    let other = client.with_key(&client.sign_up("Other", "other@other.test").await);
    create(&other, &made, URL).await.is_problem(404, "not_found");
    list(&other, &path(&made)).await.is_problem(404, "not_found");
    let id = created.body["webhook_id"].as_str().unwrap();
    let one = format!("{}/{id}", path(&made));
    other.delete(&one).await.is_problem(404, "not_found");
    client
        .without("authorization")
        .delete(&one)
        .await
        .is_problem(401, "api_key.not_valid");
    assert_eq!(list(&client, &path(&made)).await.body["webhooks"][0]["webhook_id"], id);
}
