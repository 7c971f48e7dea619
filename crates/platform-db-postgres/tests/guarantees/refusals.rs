//! A database that is not as it must be is refused, with the words that help.

use aftercommit_domain::events::Outbox as _;
use aftercommit_domain::failure::{Classified as _, ErrorClass};
use aftercommit_platform_db_postgres::{ConnectError, PostgresDatabase, PostgresOptions};
use aftercommit_testkit::postgres_server::{PostgresOptions as ServerOptions, PostgresServer};
use aftercommit_testkit::test_services;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::processes::another_process;
use crate::rig::{Rig, ports};

async fn refusal(options: PostgresOptions) -> ConnectError {
    let opened = PostgresDatabase::open(options, ports(&test_services())).await;
    opened.unwrap_err()
}

/// Applies what is missing, or may not.
fn options(url: String, migrate: bool) -> PostgresOptions {
    PostgresOptions {
        migrate,
        ..PostgresOptions::new(url)
    }
}

async fn sql(url: &str, statements: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_missing_or_older_is_refused_with_the_command_to_run() {
    let server = PostgresServer::shared().await;
    let empty = server.database(None).await;
    let error = refusal(options(empty.url(), false)).await;
    assert_eq!(
        error.to_string(),
        "the schema aftercommit lacks migration 1; run `aftercommit migrate`"
    );
    let rig = Rig::start().await;
    sql(
        &rig.store.url(),
        "DELETE FROM aftercommit.migrations WHERE version = (SELECT max(version) FROM aftercommit.migrations)",
    )
    .await;
    let error = refusal(options(rig.store.url(), false)).await;
    assert!(error.to_string().ends_with("run `aftercommit migrate`"), "{error}");
    assert_eq!(error.class(), ErrorClass::Permanent);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_a_changed_and_a_half_applied_schema_are_refused_whether_one_may_migrate_or_not() {
    for (change, message) in [
        (
            "INSERT INTO aftercommit.migrations (version, description, success, checksum, execution_time) \
             VALUES (9000, 'of tomorrow', true, '\\x00', 0)",
            "the schema aftercommit was changed by a newer version (migration 9000); run that version",
        ),
        (
            "UPDATE aftercommit.migrations SET checksum = '\\x00' WHERE version = 2",
            "migration 2 of the schema aftercommit is not the one this version knows; run the version that made it",
        ),
        (
            "UPDATE aftercommit.migrations SET success = false WHERE version = 3",
            "migration 3 of the schema aftercommit was not finished; look at aftercommit.migrations, mend it by hand, \
             and delete that row",
        ),
    ] {
        let rig = Rig::start().await;
        sql(&rig.store.url(), change).await;
        for migrate in [false, true] {
            let error = refusal(options(rig.store.url(), migrate)).await;
            assert_eq!(error.to_string(), message, "migrate: {migrate}");
            assert_eq!(error.class(), ErrorClass::Permanent);
        }
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_somebody_else_in_a_schema_of_the_same_name_are_left_alone() {
    let server = PostgresServer::shared().await;
    let database = server.database(None).await;
    sql(
        &database.url(),
        "CREATE SCHEMA aftercommit; CREATE TABLE aftercommit.outbox (theirs text)",
    )
    .await;
    let error = refusal(options(database.url(), true)).await;
    assert!(error.to_string().contains("\"outbox\" already exists"), "{error}");
    sql(&database.url(), "SELECT theirs FROM aftercommit.outbox").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_path_of_the_database_changes_nothing() {
    let rig = Rig::start().await;
    let change = format!("ALTER DATABASE {} SET search_path = nowhere", rig.store.name());
    sql(&rig.store.superuser_url(), &change).await;
    for migrate in [false, true] {
        let database = another_process(options(rig.store.url(), migrate)).await;
        assert_eq!(database.outbox().stats().await.unwrap().waiting, 0);
        database.close().await.unwrap();
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_migrate_or_not_even_look_is_told_whose_work_it_is() {
    let server = PostgresServer::shared().await;
    let name = "aftercommit_test_nobody";
    sql(
        &server.superuser_url(),
        &format!(
            "SELECT pg_advisory_lock(hashtextextended('{name}', 0)); DO $$ BEGIN IF NOT EXISTS \
             (SELECT FROM pg_roles WHERE rolname = '{name}') THEN CREATE ROLE {name}; END IF; END $$; \
             ALTER ROLE {name} LOGIN PASSWORD 'nobody'"
        ),
    )
    .await;
    let empty = server.database(None).await;
    let error = refusal(options(empty.urls().as_role(name, "nobody"), true)).await;
    assert!(matches!(error, ConnectError::NoPrivilege { .. }), "{error:?}");
    let rig = Rig::start().await;
    let error = refusal(options(rig.store.urls().as_role(name, "nobody"), false)).await;
    assert!(matches!(error, ConnectError::NoPrivilege { .. }), "{error:?}");
    let told = error.to_string();
    assert!(
        told.contains("AFTERCOMMIT_POSTGRES__MIGRATE_URL") && told.contains("aftercommit migrate"),
        "{told}"
    );
    let error = refusal(options(rig.store.urls().as_role(name, "wrong"), false)).await;
    assert!(matches!(error, ConnectError::Login { .. }), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Permanent);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_refused_and_may_become_the_primary_later() {
    let server = PostgresServer::start(ServerOptions::default().without_fsync()).await;
    let database = server.database(None).await;
    let opened = another_process(options(database.url(), true)).await;
    opened.close().await.unwrap();
    server.stop().await;
    std::fs::write(server.directory().unwrap().join("data/standby.signal"), "").unwrap();
    server.restart().await;
    for migrate in [false, true] {
        let error = refusal(options(database.url(), migrate)).await;
        assert!(matches!(error, ConnectError::Standby { .. }), "{error:?}");
        assert!(error.to_string().contains("connect to the primary"), "{error}");
        assert_eq!(error.class(), ErrorClass::Outage);
    }
    sql(&server.superuser_url(), "SELECT pg_promote()").await;
    let opened = another_process(options(database.url(), false)).await;
    assert_eq!(opened.outbox().stats().await.unwrap().waiting, 0);
    opened.close().await.unwrap();
}
