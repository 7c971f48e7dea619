use std::error::Error;

use shop::config::Config;
use shop::{MIGRATIONS, Shop, router};
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let config = Config::from_env()?;
    let pool = PgPoolOptions::new()
        .max_connections(10)
        .connect(&config.database_url)
        .await?;
    MIGRATIONS.run(&pool).await?;

    let shop = Shop {
        pool: pool.clone(),
        currency: config.currency,
    };
    let listener = TcpListener::bind(&config.address).await?;
    tracing::info!(address = %listener.local_addr()?, "the shop is open");
    axum::serve(listener, router(shop))
        .with_graceful_shutdown(terminated())
        .await?;
    pool.close().await;
    Ok(())
}

async fn terminated() {
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened for");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
