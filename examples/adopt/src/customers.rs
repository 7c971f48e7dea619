//! Who buys.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};

use crate::Shop;
use crate::error::ShopError;

#[derive(Debug, Serialize, FromRow)]
pub struct Customer {
    pub id: i64,
    pub shop_id: i64,
    pub name: String,
    pub email: String,
}

#[derive(Deserialize)]
pub struct NewCustomer {
    name: String,
    email: String,
}

/// `POST /shops/{shop_id}/customers`. The same address again is the same customer.
pub async fn register(
    State(shop): State<Shop>,
    Path(shop_id): Path<i64>,
    Json(new): Json<NewCustomer>,
) -> Result<Json<Customer>, ShopError> {
    let customer = sqlx::query_as(
        "insert into customers (shop_id, name, email) values ($1, $2, $3)
         on conflict (shop_id, email) do update set name = excluded.name
         returning id, shop_id, name, email",
    )
    .bind(shop_id)
    .bind(new.name)
    .bind(new.email)
    .fetch_one(&shop.pool)
    .await?;
    Ok(Json(customer))
}

pub async fn find(pool: &PgPool, shop_id: i64, id: i64) -> sqlx::Result<Option<Customer>> {
    sqlx::query_as("select id, shop_id, name, email from customers where shop_id = $1 and id = $2")
        .bind(shop_id)
        .bind(id)
        .fetch_optional(pool)
        .await
}
