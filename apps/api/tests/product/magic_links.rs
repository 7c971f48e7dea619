//! Magic links.

use aftercommit_domain::reference::identity::MagicLinkEmailRequested;
use aftercommit_domain::time::minutes;
use axum::http::StatusCode;
use serde_json::json;

use crate::client::{Answer, Client};

/// Asks for a link; answers the answer and the token of the link that would be mailed.
async fn ask(client: &Client, email: &str) -> (Answer, String) {
    let answer = client.post("/v1/magic-links", json!({ "email": email })).await;
    let events = client.harness.take_events().await;
    let requested: MagicLinkEmailRequested = client.harness.read(events.last().unwrap());
    let (_, token) = requested.magic_link_url.expose().split_once('#').unwrap();
    (answer, token.to_owned())
}

#[tokio::test]
async fn the_answer_does_not_tell_who_is_known() {
    let (client, _) = Client::signed_up().await;
    let (known, _) = ask(&client, "owner@acme.test").await;
    let rows = client.harness.store.count_rows();
    let (unknown, _) = ask(&client, "nobody@example.com").await;
    assert_eq!(known.status, StatusCode::ACCEPTED);
    assert_eq!(known.status, unknown.status);
    assert_eq!(known.body, unknown.body);
    let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&known), names(&unknown));
    assert_eq!(client.harness.store.count_rows(), rows + 1, "a link and nobody new");
}

#[tokio::test]
async fn the_event_shows_neither_address_nor_link() {
    let (client, _) = Client::signed_up().await;
    client
        .post("/v1/magic-links", json!({ "email": "owner@acme.test" }))
        .await;
    let events = client.harness.take_events().await;
    let text = events[0].encode();
    assert!(!text.contains("acme.test") && !text.contains("product.test"), "{text}");
}

#[tokio::test]
async fn someone_known_signs_in_once() {
    let (client, made) = Client::signed_up().await;
    let (_, token) = ask(&client, "Owner@acme.test").await;
    let signed_in = client.post("/v1/magic-links/follow", json!({ "token": token })).await;
    assert_eq!(signed_in.status, StatusCode::OK);
    assert_eq!(signed_in.body, json!({ "user_id": made["user_id"] }));
    client
        .post("/v1/magic-links/follow", json!({ "token": token }))
        .await
        .is_problem(410, "sign_in_link.not_valid");
}

#[tokio::test]
async fn someone_unknown_is_made_when_the_link_is_followed() {
    let (client, _) = Client::signed_up().await;
    let (_, token) = ask(&client, "new@example.com").await;
    let signed_up = client.post("/v1/magic-links/follow", json!({ "token": token })).await;
    assert_eq!(signed_up.status, StatusCode::OK, "{signed_up:?}");
    let events = client.harness.take_events().await;
    assert!(events.iter().any(|event| event.name.as_str() == "UserSignedUp"));
    let works = client
        .with_key(&signed_up.body)
        .post("/v1/projects", json!({ "name": "P" }))
        .await;
    assert_eq!(works.status, StatusCode::CREATED);

    let (_, token) = ask(&client, "new@example.com").await;
    let signed_in = client.post("/v1/magic-links/follow", json!({ "token": token })).await;
    assert_eq!(signed_in.body, json!({ "user_id": signed_up.body["user_id"] }));
}

#[tokio::test]
async fn two_links_to_someone_unknown_make_one_person() {
    let (client, _) = Client::signed_up().await;
    let (_, first) = ask(&client, "new@example.com").await;
    let (_, second) = ask(&client, "new@example.com").await;
    let first = client.post("/v1/magic-links/follow", json!({ "token": first })).await;
    let second = client.post("/v1/magic-links/follow", json!({ "token": second })).await;
    assert_eq!(first.body["user_id"], second.body["user_id"]);
    assert!(second.body.get("organization_id").is_none());
}

#[tokio::test]
async fn an_old_an_unknown_and_a_broken_link_are_refused_alike() {
    let (client, _) = Client::signed_up().await;
    let (_, token) = ask(&client, "owner@acme.test").await;
    client.harness.services.clock.advance(minutes(15));
    for token in [token.as_str(), &"0".repeat(64), "x", ""] {
        client
            .post("/v1/magic-links/follow", json!({ "token": token }))
            .await
            .is_problem(410, "sign_in_link.not_valid");
    }
}
