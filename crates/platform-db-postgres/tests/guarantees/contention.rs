//! Transactions in each other's way: the loser is told so, and its repetition does it once.

use std::time::Duration;

use aftercommit_domain::contract::{Cause, Tenant};
use aftercommit_domain::events::{Outbox as _, OutboxError, OutboxMessage};
use aftercommit_domain::unit_of_work::{CommitError, UnitOfWork as _};
use aftercommit_platform_db_postgres::trouble::{Trouble, trouble};
use aftercommit_platform_db_postgres::{PostgresOptions, PostgresTransaction, PostgresUnitOfWorkFactory};
use aftercommit_testkit::conformance::Messages;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::processes::{SOON, another_process, count};
use crate::rig::Rig;

const COUNTERS: &str = "CREATE TABLE public.counters (name text PRIMARY KEY, value bigint NOT NULL); \
    INSERT INTO public.counters VALUES ('a', 0), ('b', 0)";

async fn count_up(transaction: &mut PostgresTransaction, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE public.counters SET value = value + 1 WHERE name = $1")
        .bind(name)
        .execute(&mut **transaction)
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_transactions_that_wait_for_each_other_one_is_told_to_try_again() {
    let rig = Rig::start().await;
    rig.database.pools().handlers.execute(COUNTERS).await.unwrap();
    let mut first = rig.database.begin(&Tenant::System).await.unwrap();
    let mut second = rig.database.begin(&Tenant::System).await.unwrap();
    count_up(&mut first, "a").await.unwrap();
    count_up(&mut second, "b").await.unwrap();
    let crossed = async { tokio::join!(count_up(&mut first, "b"), count_up(&mut second, "a")) };
    let (one, other) = timeout(SOON, crossed).await.unwrap();
    let (winner, loser, error) = match (one, other) {
        (Ok(()), Err(error)) => (first, second, error),
        (Err(error), Ok(())) => (second, first, error),
        both => panic!("one of them loses: {both:?}"),
    };
    assert_eq!(trouble(&error), Trouble::Conflict, "{error}");
    drop(loser);
    winner.commit().await.unwrap();
    let mut again = rig.database.begin(&Tenant::System).await.unwrap();
    count_up(&mut again, "a").await.unwrap();
    count_up(&mut again, "b").await.unwrap();
    again.commit().await.unwrap();
    assert_eq!(count(&rig, "SELECT sum(value)::bigint FROM public.counters").await, 4);
    rig.stop().await;
}

/// One try; whether it is to be made again.
async fn try_to_count(units: &PostgresUnitOfWorkFactory, message: OutboxMessage) -> bool {
    let mut unit = units.begin_postgres(&Tenant::System, &Cause::root()).await.unwrap();
    unit.transaction()
        .execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .await
        .unwrap();
    if let Err(error) = count_up(unit.transaction(), "a").await {
        assert_eq!(trouble(&error), Trouble::Conflict, "{error}");
        return true;
    }
    unit.outbox().append(vec![message]).await.unwrap();
    match unit.commit().await {
        Ok(()) => false,
        Err(CommitError::Conflict { .. }) => true,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_cannot_be_serialized_are_tried_again_whole_and_write_their_event_once() {
    const WRITERS: i64 = 8;
    const TURNS: i64 = 10;
    let rig = Rig::start().await;
    rig.database.pools().handlers.execute(COUNTERS).await.unwrap();
    let messages = Messages::new(&rig.services);
    let units = rig.database.units_of_work(rig.services.envelopes.clone());
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let rows: Vec<OutboxMessage> = (0..TURNS).map(|_| messages.row(&writer.to_string())).collect();
        let units = units.clone();
        writers.spawn(async move {
            let mut again = 0;
            for row in rows {
                while try_to_count(&units, row.clone()).await {
                    again += 1;
                }
            }
            again
        });
    }
    let again: i32 = timeout(SOON * 3, writers.join_all()).await.unwrap().into_iter().sum();
    println!("{again} transactions were tried again");
    assert!(again > 0, "nobody was in anybody's way");
    let counted = count(&rig, "SELECT value FROM public.counters WHERE name = 'a'").await;
    assert_eq!(counted, WRITERS * TURNS);
    assert_eq!(count(&rig, "SELECT count(*) FROM aftercommit.outbox").await, counted);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_outbox_is_waited_for_until_the_deadline_and_nothing_is_lost_by_it() {
    let rig = Rig::start().await;
    let mut options = PostgresOptions::new(rig.store.url());
    options.statement_timeout = Duration::from_millis(300);
    let database = another_process(options).await;
    let messages = Messages::new(&rig.services);
    let units = database.units_of_work(rig.services.envelopes.clone());
    let mut side = PgConnection::connect(&rig.store.url()).await.unwrap();
    let mut locking = side.begin().await.unwrap();
    locking
        .execute("LOCK TABLE aftercommit.outbox IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let mut unit = units.begin_postgres(&Tenant::System, &Cause::root()).await.unwrap();
    unit.outbox().append(vec![messages.row("one")]).await.unwrap();
    let refused = timeout(SOON, unit.commit()).await.unwrap();
    assert!(
        matches!(
            refused,
            Err(CommitError::Conflict { .. } | CommitError::RolledBack { .. })
        ),
        "{refused:?}"
    );
    let refused = timeout(SOON, database.outbox().claim(1, SOON)).await.unwrap();
    assert!(
        matches!(
            refused,
            Err(OutboxError::Conflict { .. } | OutboxError::Unavailable { .. })
        ),
        "{refused:?}"
    );
    locking.rollback().await.unwrap();
    let mut unit = units.begin_postgres(&Tenant::System, &Cause::root()).await.unwrap();
    unit.outbox().append(vec![messages.row("one")]).await.unwrap();
    unit.commit().await.unwrap();
    let claimed = database.outbox().claim(10, SOON).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].attempts, 0, "no attempt was made");
    database.close().await.unwrap();
    rig.stop().await;
}
