//! A throw-away RabbitMQ for whoever has none at hand.
//!
//! ```sh
//! cargo run -q -p aftercommit-testkit --features rabbitmq-server --example rabbitmq
//! ```
//!
//! It prints `AMQP_URL=…` and stays until it is interrupted or killed; then everything is gone.

use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let server = RabbitMqServer::start(RabbitMqOptions::default()).await;
    println!("AMQP_URL={}", server.url());
    // The server is stopped and deleted when this process ends, however it ends.
    std::future::pending::<()>().await;
}
