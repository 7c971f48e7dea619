//! A `begin` that nobody waits for any more must not swallow what is written next (sqlx 0.9.0 loses track of it).

use std::pin::pin;
use std::time::Duration;

use aftercommit_domain::contract::Tenant;
use aftercommit_platform_db_postgres::PostgresOptions;
use aftercommit_testkit::postgres_server::PostgresServer;
use aftercommit_testkit::proxy::PostgresProxy;
use futures::future::try_join_all;
use sqlx::Executor as _;
use tokio::time::timeout;

use crate::processes::{SOON, another_process, count};
use crate::rig::Rig;

/// Polls `future` until `arrived`, and then drops it.
async fn cancelled_once<T>(future: impl Future<Output = T>, arrived: impl Future<Output = ()>) {
    let (mut future, mut arrived) = (pin!(future), pin!(arrived));
    tokio::select! {
        _ = &mut future => panic!("it ended although its reply is held"),
        () = &mut arrived => {}
    }
}

async fn behind_a_proxy(rig: &Rig) -> (PostgresProxy, PostgresOptions) {
    let proxy = PostgresProxy::start(PostgresServer::shared().await.address())
        .await
        .unwrap();
    let mut options = PostgresOptions::new(rig.store.urls().through(proxy.address()).url());
    // One connection, so that the next one to write gets the very connection of the cancelled begin.
    options.handler_connections = 1;
    (proxy, options)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_after_a_cancelled_begin_of_the_applications_own_is_kept() {
    let rig = Rig::start().await;
    let (proxy, options) = behind_a_proxy(&rig).await;
    let database = another_process(options).await;
    let pool = &database.pools().handlers;
    pool.execute("CREATE TABLE public.notes (note text NOT NULL)")
        .await
        .unwrap();
    for round in 1..=5 {
        let hold = proxy.hold_reply("BEGIN");
        cancelled_once(pool.begin(), hold.arrived()).await;
        hold.release();
        let written = timeout(SOON, pool.execute("INSERT INTO public.notes VALUES ('kept')")).await;
        written.unwrap().unwrap();
        assert_eq!(count(&rig, "SELECT count(*) FROM public.notes").await, round);
    }
    database.close().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_begin_of_a_unit_of_work_leaves_no_transaction_open() {
    let rig = Rig::start().await;
    let (proxy, options) = behind_a_proxy(&rig).await;
    let database = another_process(options).await;
    database
        .pools()
        .handlers
        .execute("CREATE TABLE public.notes (note text NOT NULL)")
        .await
        .unwrap();
    for round in 1..=5 {
        let hold = proxy.hold_reply("BEGIN; SET LOCAL");
        cancelled_once(database.begin(&Tenant::System), hold.arrived()).await;
        hold.release();
        let mut unit = timeout(SOON, database.begin(&Tenant::System)).await.unwrap().unwrap();
        unit.execute("INSERT INTO public.notes VALUES ('kept')").await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(count(&rig, "SELECT count(*) FROM public.notes").await, round);
    }
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
    assert_eq!(count(&rig, idle).await, 0);
    database.close().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_ended_in_the_pool_fail_nobodys_begin() {
    let rig = Rig::start().await;
    let database = &rig.database;
    let tenant = Tenant::System;
    let units = try_join_all((0..4).map(|_| database.begin(&tenant))).await.unwrap();
    for unit in units {
        unit.rollback().await.unwrap();
    }
    let ended = count(
        &rig,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND query = 'ROLLBACK'",
    )
    .await;
    assert_eq!(ended, 4);
    timeout(SOON, database.begin(&tenant)).await.unwrap().unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_reply_is_lost_is_unknown_and_one_that_never_arrived_changed_nothing() {
    use aftercommit_domain::unit_of_work::CommitError;

    let rig = Rig::start().await;
    let (proxy, options) = behind_a_proxy(&rig).await;
    let database = another_process(options).await;
    database
        .pools()
        .handlers
        .execute("CREATE TABLE public.notes (note text NOT NULL)")
        .await
        .unwrap();
    for (is_applied, expected) in [(true, 1), (false, 1)] {
        let mut unit = database.begin(&Tenant::System).await.unwrap();
        unit.execute("INSERT INTO public.notes VALUES ('kept')").await.unwrap();
        let loss = if is_applied {
            proxy.lose_reply("COMMIT", 1)
        } else {
            proxy.lose_request("COMMIT", 1)
        };
        let committed = timeout(SOON, unit.commit()).await.unwrap();
        assert!(matches!(committed, Err(CommitError::Unknown { .. })), "{committed:?}");
        loss.happened().await;
        assert_eq!(count(&rig, "SELECT count(*) FROM public.notes").await, expected);
        // The connection is not used again.
        let next = timeout(SOON, database.begin(&Tenant::System)).await.unwrap().unwrap();
        next.rollback().await.unwrap();
    }
    database.close().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_costs_a_deadline_and_no_connection() {
    use aftercommit_domain::events::{Outbox as _, OutboxError};
    use aftercommit_testkit::proxy::{Direction, Flow};

    let rig = Rig::start().await;
    let (proxy, mut options) = behind_a_proxy(&rig).await;
    options.engine_connections = 1;
    options.statement_timeout = Duration::from_millis(200);
    options.acquire_timeout = Duration::from_secs(1);
    let database = another_process(options).await;
    let outbox = database.outbox();
    outbox.claim(1, SOON).await.unwrap();
    proxy.tcp().set_flow(Direction::ToClient, Flow::Discard);
    for _ in 0..3 {
        let claimed = timeout(SOON, outbox.claim(1, SOON)).await.unwrap();
        assert!(matches!(claimed, Err(OutboxError::Unavailable { .. })), "{claimed:?}");
    }
    proxy.tcp().set_flow(Direction::ToClient, Flow::Pass);
    proxy.tcp().cut();
    timeout(SOON, async {
        while outbox.claim(1, SOON).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    rig.stop().await;
}
