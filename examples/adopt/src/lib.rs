//! Shops sell through their stores.

pub mod config;
pub mod customers;
pub mod error;
pub mod orders;

use axum::Router;
use axum::routing::{get, post};
use sqlx::PgPool;

/// What every request needs.
#[derive(Clone)]
pub struct Shop {
    pub pool: PgPool,
    /// What prices are in.
    pub currency: String,
}

pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

pub fn router(shop: Shop) -> Router {
    Router::new()
        .route("/shops/{shop_id}/customers", post(customers::register))
        .route("/shops/{shop_id}/stores/{store_id}/orders", post(orders::place))
        .route(
            "/shops/{shop_id}/stores/{store_id}/orders/{order_id}",
            get(orders::show),
        )
        .route(
            "/shops/{shop_id}/stores/{store_id}/orders/{order_id}/pay",
            post(orders::pay),
        )
        .route(
            "/shops/{shop_id}/stores/{store_id}/orders/{order_id}/cancel",
            post(orders::cancel),
        )
        .with_state(shop)
}
