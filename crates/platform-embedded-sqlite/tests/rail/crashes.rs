//! What a killed process leaves behind.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::time::Duration;

use aftercommit_domain::contract::Cause;
use aftercommit_domain::events::{Outbox, OutboxMessage};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::Outcome;
use aftercommit_domain::unit_of_work::UnitOfWorkFactory as _;
use aftercommit_platform_embedded_sqlite::{SqliteDatabase, SqliteOptions};
use aftercommit_testkit::conformance::Messages;
use aftercommit_testkit::test_services;

use crate::rig::{Rig, child, consume, id_of, next, publish, runtime, services, take};

#[test]
#[ignore = "a process of its own, killed by every_acknowledged_task_survives_a_kill"]
fn child_publishes_until_it_is_killed() {
    runtime().block_on(async {
        let services_of_its_own = test_services();
        let options = SqliteOptions::new(Path::new("rail.db"));
        let database = SqliteDatabase::open(options, services(&services_of_its_own))
            .await
            .unwrap();
        let messages = Messages::new(&services_of_its_own);
        loop {
            for id in publish(&database, messages.tasks(7)).await {
                println!("acknowledged {id}");
            }
            std::io::stdout().flush().unwrap();
        }
    });
}

#[test]
fn every_acknowledged_task_survives_a_kill() {
    let rig = Rig::new();
    let mut child = child("crashes::child_publishes_until_it_is_killed", rig.directory())
        .spawn()
        .unwrap();
    let mut acknowledged: HashSet<MessageId> = HashSet::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        // The test runner may print on the same line.
        if let Some((_, id)) = line.split_once("acknowledged ")
            && let Ok(id) = id.parse()
        {
            acknowledged.insert(id);
        }
        if acknowledged.len() == 500 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= 500, "{} were acknowledged", acknowledged.len());
    runtime().block_on(async {
        let database = rig.open().await;
        let check: String = sqlx::query_scalar("PRAGMA integrity_check")
            .fetch_one(database.reader())
            .await
            .unwrap();
        assert_eq!(check, "ok");
        let mut deliveries = consume(&database, 100).await;
        while !acknowledged.is_empty() {
            let delivery = next(&mut deliveries).await;
            acknowledged.remove(&id_of(&*delivery));
            delivery.ack(&Outcome::Completed).await.unwrap();
        }
        database.close().await.unwrap();
    });
}

#[test]
fn what_ran_comes_again_at_once_as_redelivered_and_what_was_fetched_ahead_as_new() {
    let rig = Rig::new();
    let ids = rig.until_it_dies(async |database| {
        let ids = publish(&database, rig.messages().tasks(6)).await;
        let mut deliveries = consume(&database, 6).await;
        let mut taken = take(&mut deliveries, 3).await;
        taken.remove(0).ack(&Outcome::Completed).await.unwrap();
        taken.remove(0).give_back().await.unwrap();
        drop((taken, deliveries));
        ids
    });
    runtime().block_on(async {
        let database = rig.open().await;
        let mut deliveries = consume(&database, 6).await;
        let again = take(&mut deliveries, 5).await;
        let found: Vec<(MessageId, u32, bool)> = again
            .iter()
            .map(|delivery| (id_of(&**delivery), delivery.attempt(), delivery.redelivered()))
            .collect();
        let expected: Vec<(MessageId, u32, bool)> = ids.iter().skip(1).map(|id| (*id, 1, *id == ids[2])).collect();
        assert_eq!(found, expected);
        database.close().await.unwrap();
    });
}

#[test]
fn outbox_rows_a_dead_relay_had_are_claimable_at_once() {
    let rig = Rig::new();
    let lease = Duration::from_hours(1);
    let positions = rig.until_it_dies(async |database| {
        let tenant = rig.messages().task().tenant;
        let units = database.units_of_work(rig.services.envelopes.clone());
        let mut unit_of_work = units.begin(&tenant, &Cause::root()).await.unwrap();
        let rows: Vec<OutboxMessage> = ["a", "a", "b"].map(|aggregate| rig.messages().row(aggregate)).into();
        unit_of_work.outbox().append(rows).await.unwrap();
        unit_of_work.commit().await.unwrap();
        let claimed = database.outbox().claim(10, lease).await.unwrap();
        claimed.iter().map(|row| row.claim).collect::<Vec<_>>()
    });
    runtime().block_on(async {
        let database = rig.open().await;
        let again = database.outbox().claim(10, lease).await.unwrap();
        assert_eq!(
            again.iter().map(|row| row.claim.position).collect::<Vec<_>>(),
            positions.iter().map(|claim| claim.position).collect::<Vec<_>>()
        );
        // What the dead relay would still write back fits nothing.
        let late = database.outbox().mark_published(&positions).await.unwrap();
        assert_eq!((late.changed, late.stale), (0, 3));
        database.close().await.unwrap();
    });
}
