//! A connection goes from the transaction that commits to whoever waits for one, begun in the same round trip.

use std::pin::pin;
use std::time::Duration;

use aftercommit_domain::contract::{OrganizationId, Tenant};
use aftercommit_domain::unit_of_work::CommitError;
use aftercommit_platform_db_postgres::{PostgresDatabase, PostgresOptions, PostgresTransaction};
use aftercommit_testkit::postgres_server::PostgresServer;
use aftercommit_testkit::proxy::PostgresProxy;
use sqlx::Executor as _;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::processes::{SOON, another_process, count};
use crate::rig::Rig;

const NOTES: &str = "SELECT count(*) FROM public.notes";

/// A database with one connection for units of work, behind a proxy.
struct OneConnection {
    rig: Rig,
    proxy: PostgresProxy,
    database: PostgresDatabase,
}

impl OneConnection {
    async fn start() -> Self {
        let rig = Rig::start().await;
        let proxy = PostgresProxy::start(PostgresServer::shared().await.address())
            .await
            .unwrap();
        let mut options = PostgresOptions::new(rig.store.urls().through(proxy.address()).url());
        options.handler_connections = 1;
        let database = another_process(options).await;
        database
            .pools()
            .handlers
            .execute(
                "CREATE TABLE public.notes (note text NOT NULL); \
                 ALTER TABLE public.notes ADD UNIQUE (note) DEFERRABLE INITIALLY DEFERRED",
            )
            .await
            .unwrap();
        Self { rig, proxy, database }
    }

    /// A transaction that wrote a note.
    async fn noted(&self) -> PostgresTransaction {
        let mut transaction = self.database.begin(&tenant("first")).await.unwrap();
        transaction
            .execute("INSERT INTO public.notes VALUES ('kept')")
            .await
            .unwrap();
        transaction
    }

    /// Somebody who wants to begin, and stands in the line when this returns.
    async fn waiting(&self) -> JoinSet<PostgresTransaction> {
        let (database, mut waiting) = (self.database.clone(), JoinSet::new());
        waiting.spawn(async move { database.begin(&tenant("second")).await.unwrap() });
        while self.database.waiting_to_begin() == 0 {
            tokio::task::yield_now().await;
        }
        waiting
    }

    async fn stop(self) {
        let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
        assert_eq!(count(&self.rig, idle).await, 0, "no transaction is left open");
        self.database.close().await.unwrap();
        self.rig.stop().await;
    }
}

fn tenant(organization: &str) -> Tenant {
    Tenant::organization(OrganizationId::new(organization).unwrap())
}

/// Whose it is, how it is isolated, and what the transaction before had set.
async fn seen(transaction: &mut PostgresTransaction) -> (String, String, String) {
    sqlx::query_as(
        "SELECT aftercommit.current_organization(), current_setting('transaction_isolation'), \
           coalesce(current_setting('aftercommit.left_over', true), '')",
    )
    .fetch_one(&mut **transaction)
    .await
    .unwrap()
}

/// What it has come to.
async fn ended<T: 'static>(mut set: JoinSet<T>) -> T {
    timeout(SOON, set.join_next()).await.unwrap().unwrap().unwrap()
}

fn committing(transaction: PostgresTransaction) -> JoinSet<Result<(), CommitError>> {
    let mut set = JoinSet::new();
    set.spawn(transaction.commit());
    set
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_gets_the_connection_begun_and_nothing_of_the_transaction_before() {
    let one = OneConnection::start().await;
    let begun_together = one.proxy.hold_reply("SELECT 1; COMMIT; BEGIN; SET LOCAL");
    let mut first = one.database.begin(&tenant("first")).await.unwrap();
    first
        .execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET LOCAL aftercommit.left_over = 'x'")
        .await
        .unwrap();
    first.execute("INSERT INTO public.notes VALUES ('kept')").await.unwrap();
    let waiting = one.waiting().await;
    let committing = committing(first);
    timeout(SOON, begun_together.arrived()).await.unwrap();
    begun_together.release();
    ended(committing).await.unwrap();
    let mut second = ended(waiting).await;
    let expected = ("second".to_owned(), "read committed".to_owned(), String::new());
    assert_eq!(seen(&mut second).await, expected);
    // What the second undoes, the first has kept.
    second.execute("DELETE FROM public.notes").await.unwrap();
    second.rollback().await.unwrap();
    assert_eq!(count(&one.rig, NOTES).await, 1);
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_says_so_and_whoever_waits_begins_all_the_same() {
    let one = OneConnection::start().await;
    let first = one.noted().await;
    first.commit().await.unwrap();
    // Twice the same note, which only the commit finds out.
    let first = one.noted().await;
    let waiting = one.waiting().await;
    let refused = first.commit().await;
    assert!(matches!(refused, Err(CommitError::Refused { .. })), "{refused:?}");
    let mut second = ended(waiting).await;
    assert_eq!(seen(&mut second).await.0, "second");
    second.commit().await.unwrap();
    // And one whose failed statement the application overlooked.
    let mut first = one.database.begin(&tenant("first")).await.unwrap();
    first.execute("SELECT 1/0").await.unwrap_err();
    let waiting = one.waiting().await;
    let refused = first.commit().await;
    assert!(matches!(refused, Err(CommitError::Refused { .. })), "{refused:?}");
    ended(waiting).await.commit().await.unwrap();
    assert_eq!(count(&one.rig, NOTES).await, 1);
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_reply_is_lost_is_unknown_and_whoever_waits_begins_all_the_same() {
    let one = OneConnection::start().await;
    let first = one.noted().await;
    let waiting = one.waiting().await;
    let loss = one.proxy.lose_reply("SELECT 1; COMMIT", 1);
    let committed = timeout(SOON, first.commit()).await.unwrap();
    assert!(matches!(committed, Err(CommitError::Unknown { .. })), "{committed:?}");
    loss.happened().await;
    let mut second = ended(waiting).await;
    assert_eq!(seen(&mut second).await.0, "second");
    second.rollback().await.unwrap();
    assert_eq!(count(&one.rig, NOTES).await, 1);
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_nobody_waits_for_any_more_leaves_nobody_without_a_connection() {
    let one = OneConnection::start().await;
    let first = one.noted().await;
    let waiting = one.waiting().await;
    let hold = one.proxy.hold_reply("SELECT 1; COMMIT");
    {
        let (mut commit, mut arrived) = (pin!(first.commit()), pin!(hold.arrived()));
        tokio::select! {
            _ = &mut commit => panic!("it ended although its reply is held"),
            () = &mut arrived => {}
        }
    }
    hold.release();
    let mut second = ended(waiting).await;
    assert_eq!(seen(&mut second).await.0, "second");
    second.commit().await.unwrap();
    assert_eq!(count(&one.rig, NOTES).await, 1);
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_for_somebody_who_left_is_rolled_back() {
    let one = OneConnection::start().await;
    let first = one.noted().await;
    let waiting = one.waiting().await;
    let hold = one.proxy.hold_reply("SELECT 1; COMMIT");
    let committing = committing(first);
    timeout(SOON, hold.arrived()).await.unwrap();
    drop(waiting);
    hold.release();
    ended(committing).await.unwrap();
    let mut third = timeout(SOON, one.database.begin(&tenant("third")))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(seen(&mut third).await.0, "third");
    third.commit().await.unwrap();
    assert_eq!(count(&one.rig, NOTES).await, 1);
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_made_once_however_many_take_over() {
    let rig = Rig::start().await;
    let proxy = PostgresProxy::start(PostgresServer::shared().await.address())
        .await
        .unwrap();
    let mut options = PostgresOptions::new(rig.store.urls().through(proxy.address()).url());
    options.handler_connections = 4;
    options.notify = false;
    let database = another_process(options).await;
    let before = proxy.tcp().connections();
    let mut turns = JoinSet::new();
    for _ in 0..8 {
        let database = database.clone();
        turns.spawn(async move {
            for _ in 0..50 {
                let transaction = database.begin(&tenant("any")).await.unwrap();
                transaction.commit().await.unwrap();
            }
        });
    }
    timeout(SOON, turns.join_all()).await.unwrap();
    assert_eq!(proxy.tcp().connections() - before, 4);
    database.close().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_called_by_a_commit_that_failed_keeps_the_first_place() {
    let one = OneConnection::start().await;
    one.noted().await.commit().await.unwrap();
    // Twice the same note: its commit fails.
    let first = one.noted().await;
    let called = one.waiting().await;
    let mut others = JoinSet::new();
    for _ in 0..2 {
        let database = one.database.clone();
        // They come again and again, and never leave the line empty.
        others.spawn(async move {
            loop {
                let transaction = database.begin(&tenant("other")).await.unwrap();
                transaction.commit().await.unwrap();
            }
        });
    }
    while one.database.waiting_to_begin() < 3 {
        tokio::task::yield_now().await;
    }
    first.commit().await.unwrap_err();
    ended(called).await.rollback().await.unwrap();
    others.shutdown().await;
    one.database.close().await.unwrap();
    one.rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_ever_beside_others_who_take_over_from_a_cold_pool_on() {
    const WAITED_AT_MOST: Duration = Duration::from_secs(2);
    let rig = Rig::start().await;
    let mut options = PostgresOptions::new(rig.store.url());
    options.handler_connections = 4;
    let database = another_process(options).await;
    let mut tasks = JoinSet::new();
    for _ in 0..24 {
        let database = database.clone();
        tasks.spawn(async move {
            for _ in 0..60 {
                let begun = timeout(WAITED_AT_MOST, database.begin(&tenant("any"))).await;
                begun.unwrap().unwrap().commit().await.unwrap();
            }
        });
    }
    timeout(SOON, tasks.join_all()).await.unwrap();
    database.close().await.unwrap();
    rig.stop().await;
}
