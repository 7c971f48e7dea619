//! A call that is dropped at any of its awaits leaves everything done or nothing, and every connection usable.

use std::time::Duration;

use aftercommit_domain::contract::{Cause, Tenant};
use aftercommit_domain::events::{Claim, Outbox as _, Release};
use aftercommit_domain::unit_of_work::{UnitOfWork as _, UnitOfWorkFactory as _};
use aftercommit_platform_db_postgres::{PostgresDatabase, PostgresOptions};
use aftercommit_testkit::conformance::Messages;
use aftercommit_testkit::dropped_after;
use sqlx::Executor as _;
use tokio::time::timeout;

use crate::processes::{SOON, another_process, count};
use crate::rig::Rig;

const LEASE: Duration = Duration::from_secs(30);
/// Few, so that one that is lost is missed.
const CONNECTIONS: u32 = 2;
/// Far more polls than any call takes.
const MOST_POLLS: usize = 500;

/// Drops at the first await, at the second, and so on, until the call was let through three times.
async fn at_every_await(mut call: impl AsyncFnMut(usize) -> bool) -> usize {
    let mut completed = 0;
    for polls in 0..MOST_POLLS {
        completed += usize::from(timeout(SOON, call(polls)).await.unwrap());
        if completed == 3 {
            println!("dropped at {} awaits", polls + 1 - completed);
            return polls + 1;
        }
    }
    panic!("it never ended");
}

async fn small_pools(rig: &Rig) -> PostgresDatabase {
    let mut options = PostgresOptions::new(rig.store.url());
    options.handler_connections = CONNECTIONS;
    options.engine_connections = CONNECTIONS;
    another_process(options).await
}

/// No connection is lost and none is inside a transaction.
async fn assert_all_connections_are_free(rig: &Rig, database: &PostgresDatabase) {
    let mut units = Vec::new();
    for _ in 0..CONNECTIONS {
        units.push(timeout(SOON, database.begin(&Tenant::System)).await.unwrap().unwrap());
    }
    for unit in units {
        unit.rollback().await.unwrap();
    }
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(timeout(SOON, database.pools().engine.acquire()).await.unwrap().unwrap());
    }
    drop(connections);
    database.close().await.unwrap();
    let inside = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
    assert_eq!(count(rig, inside).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_of_work_that_is_dropped_anywhere_is_committed_whole_or_not_at_all() {
    let rig = Rig::start().await;
    let database = small_pools(&rig).await;
    database
        .pools()
        .handlers
        .execute("CREATE TABLE public.notes (note text NOT NULL)")
        .await
        .unwrap();
    let messages = Messages::new(&rig.services);
    let units = database.units_of_work(rig.services.envelopes.clone());
    let mut completed = 0;
    let calls = at_every_await(async |polls| {
        let message = messages.row("one");
        let work = async {
            let mut unit = units.begin_postgres(&Tenant::System, &Cause::root()).await.unwrap();
            unit.transaction()
                .execute("INSERT INTO public.notes VALUES ('with its event')")
                .await
                .unwrap();
            unit.outbox().append(vec![message]).await.unwrap();
            unit.commit().await.unwrap();
        };
        let is_complete = dropped_after(polls, work).await.is_some();
        completed += i64::from(is_complete);
        is_complete
    })
    .await;
    assert!(calls > 6, "it awaits more than {calls} times");
    assert_all_connections_are_free(&rig, &database).await;
    // What was on its way when it was dropped may have been committed, but never one without the other.
    let notes = count(&rig, "SELECT count(*) FROM public.notes").await;
    assert_eq!(count(&rig, "SELECT count(*) FROM aftercommit.outbox").await, notes);
    assert!(notes >= completed, "{notes} of {completed}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_marks_and_releases_that_are_dropped_anywhere_lose_no_row_and_log_none_twice() {
    let rig = Rig::start().await;
    let database = small_pools(&rig).await;
    let messages = Messages::new(&rig.services);
    let units = rig.database.units_of_work(rig.services.envelopes.clone());
    let outbox = database.outbox();
    let mut rows = 0;
    at_every_await(async |polls| {
        let mut unit = units.begin(&Tenant::System, &Cause::root()).await.unwrap();
        unit.outbox().append(vec![messages.row("one")]).await.unwrap();
        unit.commit().await.unwrap();
        rows += 1;
        let is_claimed = dropped_after(polls, outbox.claim(10, LEASE)).await.is_some();
        let claims = claimed_in_the_end(&rig, &outbox).await;
        let release = (claims[0], Release::Untouched);
        let is_released = dropped_after(polls, outbox.release(vec![release])).await.is_some();
        let claims = claimed_in_the_end(&rig, &outbox).await;
        let is_marked = dropped_after(polls, outbox.mark_published(&claims)).await.is_some();
        // Done or not done: the second time says which, and does what is missing.
        outbox.mark_published(&claims).await.unwrap();
        is_claimed && is_released && is_marked
    })
    .await;
    assert_all_connections_are_free(&rig, &database).await;
    assert_eq!(count(&rig, "SELECT count(*) FROM aftercommit.outbox").await, 0);
    assert_eq!(count(&rig, "SELECT count(*) FROM aftercommit.event_log").await, rows);
    rig.stop().await;
}

/// The one row, whoever had claimed it: once its lease is over it can be claimed again.
async fn claimed_in_the_end(rig: &Rig, outbox: &impl aftercommit_domain::events::Outbox) -> Vec<Claim> {
    loop {
        rig.advance(LEASE * 2).await;
        outbox.rescue_expired().await.unwrap();
        let claimed = outbox.claim(10, LEASE).await.unwrap();
        if !claimed.is_empty() {
            assert_eq!(claimed.len(), 1);
            return claimed.iter().map(|row| row.claim).collect();
        }
    }
}
