//! Ids, traces, deadlines and pages.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_api::{ApiState, router};
use aftercommit_domain::contract::{Cause, Limits, Tenant};
use aftercommit_domain::events::create_events_publisher;
use aftercommit_domain::reference::ReferenceUnitOfWorkFactory as _;
use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::client::Client;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn events_carry_the_trace_and_the_id_of_their_request() {
    let (client, _) = Client::signed_up().await;
    let answer = client
        .with("traceparent", TRACE)
        .with("x-request-id", "request-7")
        .post("/v1/projects", json!({ "name": "P" }))
        .await;
    assert_eq!(answer.headers["x-request-id"], "request-7");
    let events = client.harness.take_events().await;
    let cause = &events[0].cause;
    assert_eq!(cause.correlation.as_ref().unwrap().as_str(), "request-7");
    assert_eq!(cause.trace.as_ref().unwrap().traceparent(), TRACE);
}

#[tokio::test]
async fn a_request_without_them_gets_an_id_and_a_trace_of_its_own() {
    let (client, _) = Client::signed_up().await;
    let answer = client
        .with("traceparent", "nonsense")
        .with("x-request-id", "x".repeat(300))
        .post("/v1/projects", json!({ "name": "P" }))
        .await;
    let events = client.harness.take_events().await;
    let cause = &events[0].cause;
    let id = cause.correlation.as_ref().unwrap().as_str();
    assert_eq!(answer.headers["x-request-id"], id);
    assert_eq!(id.len(), 36);
    assert!(cause.trace.is_some());
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_and_leaves_nothing() {
    let (client, made) = Client::signed_up().await;
    let publisher = create_events_publisher(Arc::new(client.harness.provider.clone()), Limits::default());
    let mut state = ApiState::new(
        client.harness.ports.clone(),
        publisher,
        client.harness.services.envelopes.clone(),
    );
    state.request_timeout = Duration::from_millis(20);
    let mut client = client.with_key(&made);
    client.router = router(state);
    let before = client.harness.store.snapshot();

    // Somebody else has the one turn to write, for longer than any deadline.
    let held = client
        .harness
        .store
        .begin(&Tenant::System, &Cause::root())
        .await
        .unwrap();
    client
        .post("/v1/projects", json!({ "name": "P" }))
        .await
        .is_problem(503, "request.timed_out");
    drop(held);
    assert_eq!(client.harness.store.snapshot(), before);
}

#[tokio::test]
async fn the_pages_behind_the_links_use_nothing_until_a_button_is_pressed() {
    let client = Client::new();
    for path in ["/sign-in", "/join"] {
        let page = client.send(Method::GET, path, None).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
        let html = page.body.as_str().unwrap();
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        let (_, rest) = policy.split_once("script-src 'nonce-").unwrap();
        let nonce = &rest[..32];
        assert_eq!(html.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
        assert!(!html.contains("{nonce}"));
    }
    assert_eq!(client.harness.store.count_rows(), 0);
}
