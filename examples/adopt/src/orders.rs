//! What is bought: placed, then paid or cancelled.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, PgPool};

use crate::error::ShopError;
use crate::{Shop, customers};

#[derive(Debug, Serialize, FromRow)]
pub struct Order {
    pub id: i64,
    pub shop_id: i64,
    pub store_id: i64,
    pub customer_id: i64,
    pub status: String,
    pub total_cents: i64,
    pub currency: String,
}

#[derive(Deserialize)]
pub struct NewOrder {
    customer_id: i64,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
pub struct Line {
    product: String,
    quantity: i64,
    unit_cents: i64,
}

/// Shop, store and order, as the paths name them.
type OrderPath = Path<(i64, i64, i64)>;

/// `POST /shops/{shop_id}/stores/{store_id}/orders`
pub async fn place(
    State(shop): State<Shop>,
    Path((shop_id, store_id)): Path<(i64, i64)>,
    Json(new): Json<NewOrder>,
) -> Result<Json<Order>, ShopError> {
    let customer = customers::find(&shop.pool, shop_id, new.customer_id).await?;
    let customer = customer.ok_or(ShopError::NotFound)?;
    let total = total(&new.lines).ok_or(ShopError::Refused(
        "an order has lines, and each a price and a quantity",
    ))?;
    let mut tx = shop.pool.begin().await?;
    let order: Order = sqlx::query_as(
        "insert into orders (shop_id, store_id, customer_id, total_cents, currency) values ($1, $2, $3, $4, $5)
         returning id, shop_id, store_id, customer_id, status, total_cents, currency",
    )
    .bind(shop_id)
    .bind(store_id)
    .bind(customer.id)
    .bind(total)
    .bind(&shop.currency)
    .fetch_one(&mut *tx)
    .await?;
    for line in new.lines {
        sqlx::query("insert into order_lines (order_id, product, quantity, unit_cents) values ($1, $2, $3, $4)")
            .bind(order.id)
            .bind(line.product)
            .bind(line.quantity)
            .bind(line.unit_cents)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(Json(order))
}

/// `GET /shops/{shop_id}/stores/{store_id}/orders/{order_id}`
pub async fn show(State(shop): State<Shop>, Path(path): OrderPath) -> Result<Json<Order>, ShopError> {
    find(&shop.pool, path).await?.map(Json).ok_or(ShopError::NotFound)
}

/// `POST /shops/{shop_id}/stores/{store_id}/orders/{order_id}/pay`. Paying again changes nothing.
pub async fn pay(State(shop): State<Shop>, Path(path): OrderPath) -> Result<Json<Order>, ShopError> {
    let mut tx = shop.pool.begin().await?;
    let order = lock(&mut tx, path).await?.ok_or(ShopError::NotFound)?;
    match order.status.as_str() {
        "placed" => {}
        "paid" => return Ok(Json(order)),
        _ => return Err(ShopError::Refused("the order was cancelled")),
    }
    sqlx::query("insert into payments (order_id, amount_cents) values ($1, $2)")
        .bind(order.id)
        .bind(order.total_cents)
        .execute(&mut *tx)
        .await?;
    let order = change(&mut tx, order.id, "paid").await?;
    tx.commit().await?;
    Ok(Json(order))
}

/// `POST /shops/{shop_id}/stores/{store_id}/orders/{order_id}/cancel`. Cancelling again changes nothing.
pub async fn cancel(State(shop): State<Shop>, Path(path): OrderPath) -> Result<Json<Order>, ShopError> {
    let mut tx = shop.pool.begin().await?;
    let order = lock(&mut tx, path).await?.ok_or(ShopError::NotFound)?;
    match order.status.as_str() {
        "placed" => {}
        "cancelled" => return Ok(Json(order)),
        _ => return Err(ShopError::Refused("the order is paid")),
    }
    let order = change(&mut tx, order.id, "cancelled").await?;
    tx.commit().await?;
    Ok(Json(order))
}

pub async fn find(pool: &PgPool, (shop_id, store_id, id): (i64, i64, i64)) -> sqlx::Result<Option<Order>> {
    sqlx::query_as(
        "select id, shop_id, store_id, customer_id, status, total_cents, currency from orders
         where shop_id = $1 and store_id = $2 and id = $3",
    )
    .bind(shop_id)
    .bind(store_id)
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// Whoever changes an order holds it, so that it is not paid and cancelled at once.
async fn lock(tx: &mut PgConnection, (shop_id, store_id, id): (i64, i64, i64)) -> sqlx::Result<Option<Order>> {
    sqlx::query_as(
        "select id, shop_id, store_id, customer_id, status, total_cents, currency from orders
         where shop_id = $1 and store_id = $2 and id = $3 for update",
    )
    .bind(shop_id)
    .bind(store_id)
    .bind(id)
    .fetch_optional(tx)
    .await
}

async fn change(tx: &mut PgConnection, id: i64, status: &str) -> sqlx::Result<Order> {
    sqlx::query_as(
        "update orders set status = $2,
             paid_at = case when $2 = 'paid' then now() end,
             cancelled_at = case when $2 = 'cancelled' then now() end
         where id = $1
         returning id, shop_id, store_id, customer_id, status, total_cents, currency",
    )
    .bind(id)
    .bind(status)
    .fetch_one(tx)
    .await
}

/// `None` when there is nothing to pay for, or more than a number can hold.
fn total(lines: &[Line]) -> Option<i64> {
    let total = lines.iter().try_fold(0_i64, |total, line| {
        let fits = line.quantity > 0 && line.unit_cents > 0;
        let price = line.quantity.checked_mul(line.unit_cents).filter(|_| fits)?;
        total.checked_add(price)
    });
    total.filter(|total| *total > 0)
}
