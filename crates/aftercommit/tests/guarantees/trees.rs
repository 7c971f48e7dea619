//! What led to something and what it led to, as operators see it.

use aftercommit::{MessageTree, NodeState};
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request};
use serde_json::json;

use crate::place::{Api, Place, TOKEN};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn tree(api: &Api, id: &str) -> MessageTree {
    serde_json::from_value(api.get(&format!("/admin/v1/trees/{id}")).await.json(200)).unwrap()
}

fn states(tree: &MessageTree) -> Vec<(String, NodeState)> {
    tree.nodes()
        .into_iter()
        .map(|node| (node.name.clone(), node.state))
        .collect()
}

/// Emits an event as a program would that has a trace and a request of its own.
async fn emit_traced(api: &Api, request_id: &str) -> String {
    let payload = json!({"organization_id": "1", "project_id": "2", "invoice_id": 7, "receipt_to": "a@b.example"});
    let request = Request::builder()
        .method(Method::POST)
        .uri("/admin/v1/events")
        .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
        .header(CONTENT_TYPE, "application/json")
        .header("x-request-id", request_id)
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .body(Body::from(
            json!({"name": "InvoicePaid", "payload": payload}).to_string(),
        ));
    let answer = api.ask(request.unwrap()).await.json(202);
    answer["event_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_tree_is_found_by_the_id_of_the_request_the_event_and_the_task_before_and_after_it_ran() {
    let place = Place::new().open().await;
    let event = emit_traced(&place.api, "order 7731/x").await;
    let before = tree(&place.api, &event).await;
    assert_eq!(
        states(&before),
        [
            ("InvoicePaid".to_owned(), NodeState::InOutbox),
            ("receipts/send".to_owned(), NodeState::ToCome)
        ]
    );
    assert!(!before.is_over && before.cut.is_none());
    let task = before.nodes().last().unwrap().id.to_string();

    let mut running = place.start();
    running.ran().await;
    let looking = async {
        loop {
            let tree = tree(&running.api, &event).await;
            if tree.is_over {
                return tree;
            }
            tokio::task::yield_now().await;
        }
    };
    let after = tokio::time::timeout(crate::place::PATIENCE, looking).await.unwrap();
    assert_eq!(
        states(&after),
        [
            ("InvoicePaid".to_owned(), NodeState::Dispatched),
            ("receipts/send".to_owned(), NodeState::Completed)
        ]
    );
    assert_eq!(after.correlation_id, "order 7731/x");
    assert_eq!(after.roots[0].trace_id.as_deref(), Some(TRACE));
    for id in [task.as_str(), "order%207731%2Fx"] {
        assert_eq!(states(&tree(&running.api, id).await), states(&after), "{id}");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_nobody_knows_has_no_tree() {
    let place = Place::new().open().await;
    for id in ["0192f0c1-7a3b-7c4d-8e5f-0123456789ab", "nobodys-request"] {
        place
            .api
            .get(&format!("/admin/v1/trees/{id}"))
            .await
            .problem(404, "not_found");
    }
    place.close().await;
}

#[tokio::test]
async fn an_event_without_a_trace_begins_one_of_its_own() {
    let place = Place::new().open().await;
    let event = place.api.emit(7).await;
    let tree = tree(&place.api, &event).await;
    assert_eq!(tree.roots[0].trace_id.as_deref(), Some(event.replace('-', "").as_str()));
    place.close().await;
}
