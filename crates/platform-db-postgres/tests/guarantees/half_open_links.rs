//! A link whose other end is gone without a word: what is given up there keeps no place in its pool.

use std::time::Duration;

use aftercommit_domain::contract::Tenant;
use aftercommit_platform_db_postgres::{PostgresDatabase, PostgresOptions};
use aftercommit_testkit::postgres_server::PostgresServer;
use aftercommit_testkit::proxy::{Direction, Flow, TcpProxy};
use sqlx::Executor as _;
use tokio::time::timeout;

use crate::processes::{SOON, another_process};
use crate::rig::Rig;

/// Pools of one connection each, and their way to the server.
async fn through_a_proxy(rig: &Rig) -> (TcpProxy, PostgresDatabase) {
    let server = PostgresServer::shared().await;
    let proxy = TcpProxy::start(server.address()).await.unwrap();
    let mut options = PostgresOptions::new(rig.store.urls().through(proxy.address()).url());
    options.handler_connections = 1;
    options.statement_timeout = Duration::from_millis(300);
    options.acquire_timeout = Duration::from_secs(1);
    let database = another_process(options).await;
    (proxy, database)
}

/// Whoever waits has a patience of its own.
const PATIENCE: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_given_up_on_a_half_open_link_keeps_no_connection() {
    let rig = Rig::start().await;
    let (proxy, database) = through_a_proxy(&rig).await;
    for _ in 0..3 {
        let mut transaction = timeout(SOON, again_and_again(&database)).await.unwrap();
        proxy.set_flow(Direction::ToClient, Flow::Discard);
        let answer = timeout(PATIENCE, transaction.execute("SELECT 1")).await;
        assert!(answer.is_err(), "{answer:?}");
        drop(transaction);
        proxy.set_flow(Direction::ToClient, Flow::Pass);
    }
    timeout(SOON, again_and_again(&database))
        .await
        .unwrap()
        .commit()
        .await
        .unwrap();
    database.close().await.unwrap();
    rig.stop().await;
}

async fn again_and_again(database: &PostgresDatabase) -> aftercommit_platform_db_postgres::PostgresTransaction {
    loop {
        if let Ok(transaction) = database.begin(&Tenant::System).await {
            return transaction;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_given_up_on_a_half_open_link_keeps_no_connection() {
    let rig = Rig::start().await;
    let (proxy, database) = through_a_proxy(&rig).await;
    let pool = &database.pools().handlers;
    for _ in 0..3 {
        let acquired = async {
            loop {
                if let Ok(connection) = pool.acquire().await {
                    return connection;
                }
            }
        };
        let mut connection = timeout(SOON, acquired).await.unwrap();
        proxy.set_flow(Direction::ToClient, Flow::Discard);
        let answer = timeout(PATIENCE, connection.execute("SELECT 1")).await;
        assert!(answer.is_err(), "{answer:?}");
        drop(connection);
        proxy.set_flow(Direction::ToClient, Flow::Pass);
    }
    let answered = async { while pool.execute("SELECT 1").await.is_err() {} };
    timeout(SOON, answered).await.unwrap();
    database.close().await.unwrap();
    rig.stop().await;
}
