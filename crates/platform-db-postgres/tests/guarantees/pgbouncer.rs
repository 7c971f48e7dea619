//! Through PgBouncer, which gives each transaction another connection to the server.

use std::time::Duration;

use aftercommit_domain::contract::{Cause, OrganizationId, Tenant};
use aftercommit_domain::events::Outbox as _;
use aftercommit_domain::unit_of_work::UnitOfWorkFactory as _;
use aftercommit_platform_db_postgres::{PostgresDatabase, PostgresOptions};
use aftercommit_testkit::conformance::Messages;
use aftercommit_testkit::postgres_server::PgBouncer;
use sqlx::{Executor as _, Row as _};
use tokio::time::timeout;

use crate::processes::{SOON, another_process};
use crate::rig::{Rig, pooled};

/// What a session may have kept of whoever had it before; in one message, so that nobody else has it meanwhile.
const LEFT: &str = "SELECT coalesce(current_setting('aftercommit.scope', true), '') \
      || coalesce(current_setting('aftercommit.organization_id', true), ''), \
    (SELECT count(*) FROM pg_prepared_statements), \
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), \
    (SELECT count(*) FROM pg_listening_channels()), \
    current_setting('statement_timeout')";

async fn work(database: &PostgresDatabase, rig: &Rig, organization: usize) {
    let tenant = Tenant::Organization {
        organization: OrganizationId::new(format!("organization-{organization}")).unwrap(),
    };
    let messages = Messages::new(&rig.services);
    let units = database.units_of_work(rig.services.envelopes.clone());
    for round in 0..4 {
        let mut unit = units.begin_postgres(&tenant, &Cause::root()).await.unwrap();
        let scope: String = sqlx::query_scalar("SELECT current_setting('aftercommit.organization_id') || $1")
            .bind("!")
            .fetch_one(&mut **unit.transaction())
            .await
            .unwrap();
        assert_eq!(scope, format!("organization-{organization}!"));
        match round {
            0 => drop(unit),
            1 => {
                assert!(unit.transaction().execute("SELECT 1/0").await.is_err());
                unit.commit().await.unwrap_err();
            }
            _ => unit.commit().await.unwrap(),
        }
    }
    let mut unit = units.begin(&Tenant::System, &Cause::root()).await.unwrap();
    unit.outbox().append(vec![messages.row("shared")]).await.unwrap();
    unit.commit().await.unwrap();
    let outbox = database.outbox();
    let claimed = outbox.claim(10, SOON).await.unwrap();
    let claims: Vec<_> = claimed.iter().map(|row| row.claim).collect();
    outbox.mark_published(&claims).await.unwrap();
    outbox.stats().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_transaction_stays_on_a_connection_that_others_get() {
    let rig = Rig::start().await;
    let options = pooled(&rig.store, PgBouncer::shared().await.address());
    let database = another_process(options).await;
    futures::future::join_all((0..8).map(|organization| work(&database, &rig, organization))).await;
    for _ in 0..20 {
        let left = database.pools().handlers.fetch_one(LEFT).await.unwrap();
        assert_eq!(left.get::<String, _>(0), "", "a scope");
        assert_eq!(left.get::<i64, _>(1), 0, "prepared statements");
        assert_eq!(left.get::<i64, _>(2), 0, "advisory locks");
        assert_eq!(left.get::<i64, _>(3), 0, "channels");
        assert_eq!(left.get::<String, _>(4), "0", "a limit");
    }
    database.close().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_through_the_pooler_has_its_deadline_on_the_server() {
    let rig = Rig::start().await;
    let mut options = pooled(&rig.store, PgBouncer::shared().await.address());
    options.statement_timeout = Duration::from_millis(200);
    let database = another_process(options).await;
    let slow = database
        .engine()
        .run(|connection| Box::pin(async move { connection.execute("SELECT pg_sleep(60)").await }));
    let error = timeout(SOON, slow).await.unwrap().unwrap_err();
    assert_eq!(
        error.as_database_error().unwrap().code().as_deref(),
        Some("57014"),
        "{error}"
    );
    let mut unit = database.begin(&Tenant::System).await.unwrap();
    let slow = unit.execute("SELECT pg_sleep(60)");
    let error = timeout(SOON, slow).await.unwrap().unwrap_err();
    assert_eq!(
        error.as_database_error().unwrap().code().as_deref(),
        Some("57014"),
        "{error}"
    );
    drop(unit);
    database.close().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_may_not_migrate_checks_the_schema_through_the_pooler() {
    let rig = Rig::start().await;
    let pooler = PgBouncer::shared().await.address();
    for _ in 0..5 {
        let mut options = PostgresOptions::new(rig.store.urls().through(pooler).url());
        options.pgbouncer = true;
        options.migrate = false;
        let database = another_process(options).await;
        assert_eq!(database.outbox().stats().await.unwrap().waiting, 0);
        database.close().await.unwrap();
    }
    rig.stop().await;
}
