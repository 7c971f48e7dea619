//! What an order goes through. Each test has a database of its own on the server of `DATABASE_URL`.

mod rig;

use axum::http::StatusCode;
use rig::{placed_order, post, shop};
use serde_json::{Value, json};
use sqlx::PgPool;

#[sqlx::test]
async fn an_order_is_paid_once_however_often_it_is_asked(pool: PgPool) {
    let shop = shop(&pool).await;
    let order = placed_order(&shop).await;
    for _ in 0..2 {
        let (status, order) = post(&shop, &format!("{order}/pay"), Value::Null).await;
        assert_eq!((status, &order["status"]), (StatusCode::OK, &json!("paid")));
    }
    let payments: Vec<i64> = sqlx::query_scalar("select amount_cents from payments")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert_eq!(payments, [2500]);
}

#[sqlx::test]
async fn an_order_is_either_paid_or_cancelled(pool: PgPool) {
    let shop = shop(&pool).await;
    for (first, then) in [("pay", "cancel"), ("cancel", "pay")] {
        let order = placed_order(&shop).await;
        assert_eq!(
            post(&shop, &format!("{order}/{first}"), Value::Null).await.0,
            StatusCode::OK
        );
        assert_eq!(
            post(&shop, &format!("{order}/{then}"), Value::Null).await.0,
            StatusCode::CONFLICT
        );
    }
}

#[sqlx::test]
async fn an_order_of_another_shop_or_store_does_not_exist(pool: PgPool) {
    let shop = shop(&pool).await;
    let order = placed_order(&shop).await;
    for elsewhere in [
        order.replace("/shops/7/", "/shops/8/"),
        order.replace("/stores/70/", "/stores/71/"),
    ] {
        let (status, _) = post(&shop, &format!("{elsewhere}/pay"), Value::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
}

#[sqlx::test]
async fn an_order_needs_a_customer_of_its_shop_and_something_to_pay_for(pool: PgPool) {
    let shop = shop(&pool).await;
    let customer = json!({ "name": "Ada", "email": "ada@example.com" });
    let (_, customer) = post(&shop, "/shops/7/customers", customer).await;
    let line = json!([{ "product": "tea", "quantity": 1, "unit_cents": 1000 }]);
    for (path, lines, expected) in [
        ("/shops/8/stores/80/orders", &line, StatusCode::NOT_FOUND),
        ("/shops/7/stores/70/orders", &json!([]), StatusCode::CONFLICT),
        ("/shops/7/stores/70/orders", &line, StatusCode::OK),
    ] {
        let order = json!({ "customer_id": customer["id"], "lines": lines });
        assert_eq!(post(&shop, path, order).await.0, expected, "{path} {lines}");
    }
}
