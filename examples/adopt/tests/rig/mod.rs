//! A shop to test, and how it is asked.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use shop::{Shop, router};
use sqlx::PgPool;
use tower::ServiceExt as _;

pub async fn shop(pool: &PgPool) -> Router {
    router(Shop {
        pool: pool.clone(),
        currency: "EUR".to_owned(),
    })
}

pub async fn post(shop: &Router, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::post(path)
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request");
    answer(shop, request).await
}

/// An order of two lines over 25.00, in store 70 of shop 7. Answers its path.
pub async fn placed_order(shop: &Router) -> String {
    let customer = json!({ "name": "Ada", "email": "ada@example.com" });
    let (_, customer) = post(shop, "/shops/7/customers", customer).await;
    let order = json!({ "customer_id": customer["id"], "lines": [
        { "product": "tea", "quantity": 2, "unit_cents": 1000 },
        { "product": "cup", "quantity": 1, "unit_cents": 500 },
    ] });
    let (status, order) = post(shop, "/shops/7/stores/70/orders", order).await;
    assert_eq!(status, StatusCode::OK, "{order}");
    format!("/shops/7/stores/70/orders/{}", order["id"])
}

async fn answer(shop: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = shop.clone().oneshot(request).await.expect("an answer");
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    (status, serde_json::from_slice(&body).unwrap_or_default())
}
