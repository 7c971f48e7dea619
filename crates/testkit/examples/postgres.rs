//! A throw-away PostgreSQL for whoever has none at hand: a database and its owner, both named by the argument.
//!
//! ```sh
//! cargo run -q -p aftercommit-testkit --features postgres-server --example postgres -- shop
//! ```
//!
//! It prints `DATABASE_URL=…` and stays until it is interrupted or killed; then everything is gone. The owner is no
//! superuser, but may create databases, as `#[sqlx::test]` does.

use std::error::Error;

use aftercommit_testkit::postgres_server::{PostgresOptions, PostgresServer};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "app".to_owned());
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err("the name of the database is made of lower case letters".into());
    }
    let server = PostgresServer::start(PostgresOptions::default().without_fsync()).await;
    let mut connection = PgConnection::connect(&server.superuser_url()).await?;
    for statement in [
        format!("CREATE ROLE {name} LOGIN CREATEDB PASSWORD '{name}'"),
        format!("CREATE DATABASE {name} OWNER {name}"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    connection.close().await?;
    println!("DATABASE_URL=postgres://{name}:{name}@{}/{name}", server.address());
    // The server is stopped and deleted when this process ends, however it ends.
    std::future::pending::<()>().await;
    Ok(())
}
