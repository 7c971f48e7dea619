//! Hearing of what other processes commit. The waits here are longer than any test may take: what happens, happens because
//! somebody was told.

#![expect(clippy::disallowed_methods, reason = "each test waits for the relay it began")]

use std::time::Duration;

use aftercommit_domain::contract::{Cause, Tenant};
use aftercommit_domain::events::{Claimed, Outbox as _, OutboxWriter as _};
use aftercommit_domain::unit_of_work::UnitOfWorkFactory as _;
use aftercommit_platform_db_postgres::{PostgresDatabase, PostgresOptions, create_outbox_writer};
use aftercommit_testkit::conformance::Messages;
use aftercommit_testkit::postgres_server::PostgresServer;
use aftercommit_testkit::proxy::{Arrivals, TcpProxy};
use tokio::time::timeout;

use crate::processes::{SOON, another_process, count};
use crate::rig::Rig;

const LEASE: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_hours(1);

/// Commits one message in the rig's process, which runs no relay.
async fn commit(rig: &Rig) {
    let messages = Messages::new(&rig.services);
    let units = rig.database.units_of_work(rig.services.envelopes.clone());
    let mut unit = units.begin(&Tenant::System, &Cause::root()).await.unwrap();
    unit.outbox().append(vec![messages.row("a")]).await.unwrap();
    unit.commit().await.unwrap();
}

/// A relay that looks once in `poll`, until it has found something and marked it.
async fn relay(database: &PostgresDatabase, poll: Duration) -> Vec<Claimed> {
    let outbox = database.outbox();
    loop {
        let claimed = outbox.claim(100, LEASE).await.unwrap();
        if !claimed.is_empty() {
            let claims: Vec<_> = claimed.iter().map(|claimed| claimed.claim).collect();
            outbox.mark_published(&claims).await.unwrap();
            return claimed;
        }
        outbox.wait(poll).await;
    }
}

/// Who listens, as the server sees it.
const LISTENERS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";

async fn someone_listens(rig: &Rig) {
    let listens = async {
        while count(rig, LISTENERS).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, listens).await.unwrap();
}

/// Nobody has asked the server anything for longer than a relay rests between two looks.
async fn all_is_quiet(rig: &Rig) {
    const ASKED: &str = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid() \
            AND (state <> 'idle' OR state_change > now() - interval '300 milliseconds')";
    let quiet = async {
        while count(rig, ASKED).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, quiet).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_wakes_the_relay_of_another_process_long_before_it_polls() {
    let rig = Rig::start().await;
    let other = another_process(PostgresOptions::new(rig.store.url())).await;
    let relay = tokio::spawn(async move {
        for _ in 0..5 {
            relay(&other, LONG).await;
        }
        other.close().await.unwrap();
    });
    someone_listens(&rig).await;
    for round in 1..=5 {
        commit(&rig).await;
        let published = async {
            while count(&rig, "SELECT count(*) FROM aftercommit.event_log").await < round {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, published).await.unwrap();
    }
    relay.await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_while_nobody_listened_is_found_when_someone_does_again() {
    let rig = Rig::start().await;
    let proxy = TcpProxy::start(PostgresServer::shared().await.address()).await.unwrap();
    let mut options = PostgresOptions::new(rig.store.url());
    // Only the connection that listens is made through the proxy.
    options.pgbouncer = true;
    options.migrate = false;
    options.migrate_url = rig.store.urls().through(proxy.address()).url().into();
    let other = another_process(options).await;
    let relay = tokio::spawn(async move {
        relay(&other, LONG).await;
        relay(&other, LONG).await;
        other.close().await.unwrap();
    });
    someone_listens(&rig).await;
    // What it was told when it began to listen, it has followed.
    all_is_quiet(&rig).await;
    proxy.set_arrivals(Arrivals::Cut);
    proxy.cut();
    let away = async { while count(&rig, LISTENERS).await > 0 {} };
    timeout(SOON, away).await.unwrap();
    commit(&rig).await;
    assert_eq!(count(&rig, "SELECT count(*) FROM aftercommit.event_log").await, 0);
    proxy.set_arrivals(Arrivals::Forward);
    let published = async { while count(&rig, "SELECT count(*) FROM aftercommit.event_log").await < 1 {} };
    timeout(SOON, published).await.unwrap();
    commit(&rig).await;
    timeout(SOON, relay).await.unwrap().unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_listener_polling_finds_everything() {
    let rig = Rig::start().await;
    let mut options = PostgresOptions::new(rig.store.url());
    options.notify = false;
    let other = another_process(options).await;
    let poll = Duration::from_millis(50);
    assert!(timeout(poll * 2, relay(&other, poll)).await.is_err());
    assert_eq!(count(&rig, LISTENERS).await, 0);
    commit(&rig).await;
    timeout(SOON, relay(&other, poll)).await.unwrap();
    other.close().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_whose_backend_is_killed_listens_again() {
    let rig = Rig::start().await;
    let other = another_process(PostgresOptions::new(rig.store.url())).await;
    let relay = tokio::spawn(async move {
        relay(&other, LONG).await;
        other.close().await.unwrap();
    });
    someone_listens(&rig).await;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(count(&rig, kill).await, 1);
    commit(&rig).await;
    timeout(SOON, relay).await.unwrap().unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_the_applications_own_is_found_by_others_soon_after_its_commit() {
    let rig = Rig::start().await;
    let other = another_process(PostgresOptions::new(rig.store.url())).await;
    let relay = tokio::spawn(async move {
        relay(&other, LONG).await;
        other.close().await.unwrap();
    });
    someone_listens(&rig).await;
    let messages = Messages::new(&rig.services);
    let committing = async {
        // Once does, as long as the commit follows within half a second.
        while !relay.is_finished() {
            let mut transaction = rig.database.pools().handlers.begin().await.unwrap();
            let mut writer = create_outbox_writer(
                &mut transaction,
                rig.services.envelopes.clone(),
                Tenant::System,
                Cause::root(),
                rig.database.relay_wake(),
            );
            writer.append(vec![messages.row("a")]).await.unwrap();
            transaction.commit().await.unwrap();
        }
    };
    timeout(SOON, committing).await.unwrap();
    relay.await.unwrap();
    rig.stop().await;
}
