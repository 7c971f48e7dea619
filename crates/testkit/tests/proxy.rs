//! The proxy in front of real PostgreSQL.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use aftercommit_testkit::postgres_server::{PostgresServer, TestDatabase};
use aftercommit_testkit::proxy::{Arrivals, Direction, Flow, PostgresProxy, Statement};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;

/// Long enough for a reply that is not held up, and short enough for a test: what must not come is not waited for longer.
const A_WHILE: Duration = Duration::from_millis(200);

/// A database with a table `rows`, a connection to it by the proxy, and one beside it.
struct Setting {
    proxy: PostgresProxy,
    client: PgConnection,
    beside: PgConnection,
    database: TestDatabase,
}

async fn setting() -> Setting {
    let server = PostgresServer::shared().await;
    let database = server.database(None).await;
    let proxy = PostgresProxy::start(server.address()).await.unwrap();
    let mut beside = connect(&database.superuser_url()).await.unwrap();
    sqlx::raw_sql("CREATE TABLE rows (id int); GRANT ALL ON rows TO public")
        .execute(&mut beside)
        .await
        .unwrap();
    let client = connect(&database.urls().through(proxy.address()).url()).await.unwrap();
    Setting {
        proxy,
        client,
        beside,
        database,
    }
}

async fn connect(url: &str) -> sqlx::Result<PgConnection> {
    PgConnection::connect(url).await
}

impl Setting {
    fn url(&self) -> String {
        self.database.urls().through(self.proxy.address()).url()
    }

    /// Asks the server beside the proxy until it says so.
    async fn wait_until(&mut self, condition: &str) {
        let started = Instant::now();
        while !self.says(condition).await {
            assert!(started.elapsed() < Duration::from_secs(30), "{condition} has not come");
        }
    }

    async fn says(&mut self, condition: &str) -> bool {
        let sql = format!("SELECT {condition}");
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut self.beside)
            .await
            .unwrap()
    }
}

async fn run(client: &mut PgConnection, sql: &'static str) -> sqlx::Result<()> {
    sqlx::raw_sql(sql).execute(client).await.map(drop)
}

/// By the extended protocol, as a statement that is prepared once and then known by name.
async fn insert(client: &mut PgConnection, id: i32) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO rows VALUES ($1)")
        .bind(id)
        .execute(client)
        .await
        .map(drop)
}

const SESSIONS: &str = "(SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend')";

#[tokio::test]
async fn all_passes_and_is_counted_until_it_is_told_otherwise() {
    let mut setting = setting().await;
    run(&mut setting.client, "SELECT 1").await.unwrap();
    let before = setting.proxy.statements();
    insert(&mut setting.client, 1).await.unwrap();
    insert(&mut setting.client, 2).await.unwrap();
    run(&mut setting.client, "DELETE FROM rows").await.unwrap();
    assert_eq!(setting.proxy.statements(), before + 3);
    assert!(setting.proxy.tcp().wait_for_connections(1).await);
    let second = connect(&setting.url()).await.unwrap();
    assert_eq!(
        (
            setting.proxy.tcp().connections(),
            setting.proxy.tcp().open_connections()
        ),
        (2, 2)
    );
    second.close().await.unwrap();
    assert!(setting.proxy.tcp().wait_for_open_connections(1).await);
    assert_eq!(setting.proxy.tcp().connections(), 2);
}

#[tokio::test]
async fn a_long_reply_passes_whole() {
    let mut setting = setting().await;
    let rows: Vec<String> = sqlx::query_scalar("SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
        .fetch_all(&mut setting.client)
        .await
        .unwrap();
    assert!(rows.len() == 5000 && rows.iter().all(|row| row.len() == 1000));
    let long: i32 = sqlx::query_scalar("SELECT length($1)")
        .bind("y".repeat(3_000_000))
        .fetch_one(&mut setting.client)
        .await
        .unwrap();
    assert_eq!(long, 3_000_000);
}

#[tokio::test]
async fn a_delay_holds_up_each_direction_by_itself() {
    let mut setting = setting().await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        setting.proxy.tcp().set_flow(direction, Flow::Delay(A_WHILE));
        let asked = Instant::now();
        run(&mut setting.client, "SELECT 1").await.unwrap();
        assert!(asked.elapsed() >= A_WHILE, "{direction:?}");
        setting.proxy.tcp().set_flow(direction, Flow::Pass);
    }
}

#[tokio::test]
async fn a_cut_ends_both_sides_with_an_error() {
    let mut setting = setting().await;
    setting.proxy.tcp().cut();
    let error = run(&mut setting.client, "SELECT 1").await.unwrap_err();
    assert!(matches!(error, sqlx::Error::Io(_)), "{error:?}");
    setting.wait_until(&format!("{SESSIONS} = 0")).await;
    // Others can connect as before.
    run(&mut connect(&setting.url()).await.unwrap(), "SELECT 1")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_close_ends_both_sides_in_order() {
    let mut setting = setting().await;
    setting.proxy.tcp().close();
    assert!(run(&mut setting.client, "SELECT 1").await.is_err());
    setting.wait_until(&format!("{SESSIONS} = 0")).await;
    assert!(setting.proxy.tcp().wait_for_open_connections(0).await);
}

#[tokio::test]
async fn a_blackhole_keeps_what_is_sent_and_gives_it_back() {
    let mut setting = setting().await;
    setting.proxy.tcp().set_flow(Direction::ToServer, Flow::Blackhole);
    let mut inserting = std::pin::pin!(run(&mut setting.client, "INSERT INTO rows VALUES (1)"));
    assert!(timeout(A_WHILE, &mut inserting).await.is_err());
    setting.proxy.tcp().set_flow(Direction::ToServer, Flow::Pass);
    inserting.await.unwrap();
}

#[tokio::test]
async fn a_half_open_connection_does_the_work_and_never_says_so() {
    let mut setting = setting().await;
    setting.proxy.tcp().set_flow(Direction::ToClient, Flow::Discard);
    {
        let mut inserting = std::pin::pin!(run(&mut setting.client, "INSERT INTO rows VALUES (1)"));
        let done = async {
            let rows = "SELECT count(*) FROM rows";
            while 0
                == sqlx::query_scalar::<_, i64>(rows)
                    .fetch_one(&mut setting.beside)
                    .await
                    .unwrap()
            {}
        };
        tokio::select! {
            _ = &mut inserting => panic!("the reply has passed"),
            () = done => {}
        }
        assert!(timeout(A_WHILE, inserting).await.is_err());
    }
    setting.proxy.tcp().cut();
    assert!(run(&mut setting.client, "SELECT 1").await.is_err());
}

#[tokio::test]
async fn arrivals_are_cut_or_ignored_while_open_connections_go_on() {
    let mut setting = setting().await;
    setting.proxy.tcp().set_arrivals(Arrivals::Cut);
    assert!(connect(&setting.url()).await.is_err());
    setting.proxy.tcp().set_arrivals(Arrivals::Ignore);
    assert!(timeout(A_WHILE, connect(&setting.url())).await.is_err());
    run(&mut setting.client, "SELECT 1").await.unwrap();
    setting.proxy.tcp().set_arrivals(Arrivals::Forward);
    run(&mut connect(&setting.url()).await.unwrap(), "SELECT 1")
        .await
        .unwrap();
}

#[tokio::test]
async fn new_connections_go_to_the_server_behind() {
    let setting = setting().await;
    // Nothing listens on the port for TCP multiplexing.
    setting.proxy.tcp().set_upstream("127.0.0.1:1");
    assert!(connect(&setting.url()).await.is_err());
    setting
        .proxy
        .tcp()
        .set_upstream(PostgresServer::shared().await.address());
    connect(&setting.url()).await.unwrap();
}

#[tokio::test]
async fn a_dropped_proxy_cuts_its_connections() {
    let mut setting = setting().await;
    let url = setting.url();
    drop(setting.proxy);
    assert!(run(&mut setting.client, "SELECT 1").await.is_err());
    assert!(connect(&url).await.is_err());
}

#[tokio::test]
async fn a_held_reply_to_begin_leaves_the_server_in_a_transaction_the_client_does_not_know_of() {
    let mut setting = setting().await;
    let hold = setting.proxy.hold_reply("BEGIN");
    assert!(!hold.has_arrived());
    {
        let mut beginning = std::pin::pin!(setting.client.begin());
        tokio::select! {
            _ = &mut beginning => panic!("the reply was not held"),
            () = hold.arrived() => {}
        }
        let state = "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let state: String = sqlx::query_scalar(state).fetch_one(&mut setting.beside).await.unwrap();
        assert_eq!(state, "idle in transaction");
        assert!(timeout(A_WHILE, &mut beginning).await.is_err());
        hold.release();
        beginning.await.unwrap().rollback().await.unwrap();
    }
    // It was for one statement.
    setting.client.begin().await.unwrap().rollback().await.unwrap();
}

#[tokio::test]
async fn a_hold_that_is_dropped_lets_go() {
    let mut setting = setting().await;
    let hold = setting.proxy.hold_reply("INSERT");
    {
        let mut inserting = std::pin::pin!(insert(&mut setting.client, 1));
        tokio::select! {
            _ = &mut inserting => panic!("the reply was not held"),
            () = hold.arrived() => {}
        }
        drop(hold);
        inserting.await.unwrap();
    }
    drop(setting.proxy.hold_request("INSERT"));
    insert(&mut setting.client, 2).await.unwrap();
}

#[tokio::test]
async fn a_held_commit_is_not_done_until_it_is_released() {
    let mut setting = setting().await;
    let hold = setting.proxy.hold_request("COMMIT");
    let mut transaction = setting.client.begin().await.unwrap();
    insert(&mut transaction, 1).await.unwrap();
    let mut committing = std::pin::pin!(transaction.commit());
    tokio::select! {
        _ = &mut committing => panic!("the request was not held"),
        () = hold.arrived() => {}
    }
    let rows = "SELECT count(*) FROM rows";
    let there: i64 = sqlx::query_scalar(rows).fetch_one(&mut setting.beside).await.unwrap();
    assert_eq!(there, 0);
    hold.release();
    committing.await.unwrap();
    let there: i64 = sqlx::query_scalar(rows).fetch_one(&mut setting.beside).await.unwrap();
    assert_eq!(there, 1);
}

#[tokio::test]
async fn a_commit_whose_reply_is_lost_is_done() {
    let mut setting = setting().await;
    let loss = setting.proxy.lose_reply("COMMIT", 1);
    let mut transaction = setting.client.begin().await.unwrap();
    insert(&mut transaction, 1).await.unwrap();
    assert!(transaction.commit().await.is_err());
    loss.happened().await;
    assert!(setting.says("EXISTS (SELECT FROM rows)").await);
    // It was for one statement.
    let mut again = connect(&setting.url()).await.unwrap();
    again.begin().await.unwrap().commit().await.unwrap();
    assert_eq!(loss.count(), 1);
}

#[tokio::test]
async fn a_commit_that_is_lost_itself_is_not_done() {
    let mut setting = setting().await;
    let loss = setting.proxy.lose_request("COMMIT", 1);
    let mut transaction = setting.client.begin().await.unwrap();
    insert(&mut transaction, 1).await.unwrap();
    assert!(transaction.commit().await.is_err());
    loss.happened().await;
    setting.wait_until(&format!("{SESSIONS} = 0")).await;
    assert!(setting.says("NOT EXISTS (SELECT FROM rows)").await);
}

#[tokio::test]
async fn a_statement_prepared_earlier_is_recognised_when_it_is_executed() {
    let mut setting = setting().await;
    insert(&mut setting.client, 1).await.unwrap();
    // Preparing this one must not be mistaken for the execution of the other.
    sqlx::query("SELECT id FROM rows WHERE id = $1")
        .bind(1)
        .fetch_all(&mut setting.client)
        .await
        .unwrap();
    let loss = setting.proxy.lose_reply(Statement::contains("into rows"), 1);
    sqlx::query("SELECT id FROM rows WHERE id = $1")
        .bind(2)
        .fetch_all(&mut setting.client)
        .await
        .unwrap();
    assert_eq!(loss.count(), 0);
    assert!(insert(&mut setting.client, 2).await.is_err());
    assert!(setting.says("(SELECT count(*) FROM rows) = 2").await);
}

#[tokio::test]
async fn a_reply_is_lost_as_often_as_was_asked_on_any_connection() {
    let mut setting = setting().await;
    let loss = setting.proxy.lose_reply("INSERT", 3);
    for id in 0..3 {
        let mut client = connect(&setting.url()).await.unwrap();
        assert!(insert(&mut client, id).await.is_err());
    }
    loss.happened().await;
    insert(&mut setting.client, 3).await.unwrap();
    assert!(setting.says("(SELECT count(*) FROM rows) = 4").await);
}

#[tokio::test]
async fn a_hold_that_is_cut_ends_the_connection() {
    let mut setting = setting().await;
    let hold = setting.proxy.hold_reply("INSERT");
    {
        let mut inserting = std::pin::pin!(insert(&mut setting.client, 1));
        tokio::select! {
            _ = &mut inserting => panic!("the reply was not held"),
            () = hold.arrived() => {}
        }
        hold.cut();
        assert!(inserting.await.is_err());
    }
    assert!(setting.says("EXISTS (SELECT FROM rows)").await);
}
