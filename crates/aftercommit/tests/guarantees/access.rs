//! Who may ask, and how a question that makes no sense is answered.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{Method, Request};
use serde_json::json;

use crate::place::{Place, TOKEN};

const UNKNOWN_ID: &str = "01999999-9999-7999-8999-999999999999";

#[tokio::test]
async fn operators_need_the_token_and_nothing_but_the_token() {
    let place = Place::new().open().await;
    let wrong = [
        None,
        Some("Bearer wrong".to_owned()),
        Some("Bearer ".to_owned()),
        Some("Bearer".to_owned()),
        Some(TOKEN.to_owned()),
        Some(format!("Basic {TOKEN}")),
        Some(format!("Bearer {TOKEN}x")),
        Some(format!("Bearer {}", &TOKEN[1..])),
    ];
    for header in wrong {
        for path in ["/admin/v1/tasks", "/admin/v1/routes", "/admin/v1/no-such-thing"] {
            let mut request = Request::get(path);
            if let Some(header) = &header {
                request = request.header(AUTHORIZATION, header);
            }
            let answer = place.api.ask(request.body(Body::empty()).unwrap()).await;
            let detail = answer.problem(401, "admin.unauthorized");
            assert!(detail.contains("run.json"), "{detail}");
            assert_eq!(answer.headers[WWW_AUTHENTICATE], "Bearer", "{header:?}");
        }
    }
    let lower_case = Request::get("/admin/v1/tasks").header(AUTHORIZATION, format!("bearer {TOKEN}"));
    place.api.ask(lower_case.body(Body::empty()).unwrap()).await.json(200);
    place.close().await;
}

#[tokio::test]
async fn health_and_metrics_are_open_to_everybody() {
    let place = Place::new().open().await;
    for path in ["/health", "/ready", "/metrics"] {
        let answer = place.api.ask(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
    place.close().await;
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_document() {
    let place = Place::new().open().await;
    for path in ["events", "tasks", "dead-letters"] {
        let bad = place.api.get(&format!("/admin/v1/{path}/not-an-id")).await;
        bad.problem(400, "id.invalid");
        let unknown = place.api.get(&format!("/admin/v1/{path}/{UNKNOWN_ID}")).await;
        assert!(unknown.problem(404, "not_found").contains(UNKNOWN_ID));
    }
    let unknown = place.api.get("/admin/v1/no-such-thing").await;
    unknown.problem(404, "route.not_found");
    let method = place.api.send(Method::DELETE, "/admin/v1/tasks", Body::empty()).await;
    method.problem(405, "route.method_not_allowed");
    let query = place.api.get("/admin/v1/tasks?limit=many").await;
    query.problem(400, "query.invalid");
    place.close().await;
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_a_problem_document() {
    let place = Place::new().open().await;
    for path in ["/admin/v1/events", "/admin/v1/tasks"] {
        let malformed = place.api.send(Method::POST, path, "{\"name\": ").await;
        malformed.problem(400, "body.invalid");
        let incomplete = place.api.post(path, &json!({})).await;
        incomplete.problem(422, "body.invalid");
        let too_long = place.api.send(Method::POST, path, " ".repeat(1_200_001)).await;
        too_long.problem(413, "body.invalid");
        let no_content_type = Request::post(path).header(AUTHORIZATION, format!("Bearer {TOKEN}"));
        let answer = place.api.ask(no_content_type.body(Body::from("{}")).unwrap()).await;
        answer.problem(415, "body.invalid");
    }
    place.close().await;
}
