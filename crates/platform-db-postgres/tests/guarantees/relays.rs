//! Several relays on one outbox.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aftercommit_domain::contract::{Cause, OrganizationId, Tenant};
use aftercommit_domain::events::{Claimed, Outbox as _, OutboxMessage, Release};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::unit_of_work::UnitOfWorkFactory as _;
use aftercommit_platform_db_postgres::{PostgresDatabase, PostgresOptions};
use aftercommit_testkit::conformance::Messages;
use sqlx::AssertSqlSafe;
use tokio::task::JoinSet;

use crate::processes::{SOON, another_process, count};
use crate::rig::Rig;

const LEASE: Duration = Duration::from_secs(30);

/// Draws a position that nobody else sees before the commit.
const DRAW: &str = "INSERT INTO aftercommit.outbox (id, kind, written_at, name, occurred_at, body) \
    VALUES (gen_random_uuid(), 'event', now(), 'Late', now(), '\\x7b7d')";

async fn write(rig: &Rig, messages: Vec<OutboxMessage>) {
    let units = rig.database.units_of_work(rig.services.envelopes.clone());
    let mut unit = units.begin(&Tenant::System, &Cause::root()).await.unwrap();
    unit.outbox().append(messages).await.unwrap();
    unit.commit().await.unwrap();
}

fn decoded(row: &Claimed) -> (String, u64) {
    let text = String::from_utf8(row.message.body.clone()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let subject = value["subject"].as_str().unwrap().to_owned();
    (subject, u64::try_from(row.claim.position).unwrap())
}

/// Claims, now and then gives rows back, and notes the order in which each aggregate's rows were published.
async fn relay(database: PostgresDatabase, salt: u64) -> Vec<(String, u64)> {
    let outbox = database.outbox();
    let (mut published, mut idle, mut turn) = (Vec::new(), 0, salt);
    while idle < 20 {
        turn += 1;
        let limit = usize::try_from(turn % 17 + 1).unwrap();
        let claimed = outbox.claim(limit, LEASE).await.unwrap();
        if claimed.is_empty() {
            idle += 1;
            tokio::task::yield_now().await;
            continue;
        }
        idle = 0;
        // Every fifth batch fails from some row on: that aggregate's later rows must wait.
        let fails = turn.is_multiple_of(5);
        let mut failed: HashSet<String> = HashSet::new();
        let (mut done, mut back) = (Vec::new(), Vec::new());
        for (index, row) in claimed.iter().enumerate() {
            let (subject, position) = decoded(row);
            if failed.contains(&subject) || fails && index % 3 == 1 {
                let release = if turn.is_multiple_of(2) {
                    Release::Untouched
                } else {
                    let failure = Failure::new("test.failed", ErrorClass::Retryable, "on purpose");
                    Release::Retry {
                        after: Duration::ZERO,
                        counted: true,
                        failure,
                    }
                };
                failed.insert(subject);
                back.push((row.claim, release));
            } else {
                published.push((subject, position));
                done.push(row.claim);
            }
        }
        assert_eq!(outbox.mark_published(&done).await.unwrap().stale, 0);
        assert_eq!(outbox.release(back).await.unwrap().stale, 0);
    }
    published
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_relays_publish_each_row_once_and_each_aggregate_in_order() {
    let rig = Rig::start().await;
    let messages = Messages::new(&rig.services);
    for _ in 0..20 {
        let batch = (0..30).map(|number| messages.row(&format!("aggregate-{}", number % 10)));
        write(&rig, batch.collect()).await;
    }
    // One list for all: an entry is added while its row is still claimed, so the order of the list is the order of
    // publishing within an aggregate.
    let mut relays = JoinSet::new();
    for salt in 0..4 {
        let database = another_process(PostgresOptions::new(rig.store.url())).await;
        relays.spawn(relay(database, salt * 7));
    }
    let mut seen: HashMap<String, Vec<u64>> = HashMap::new();
    let mut all = 0;
    while let Some(published) = relays.join_next().await {
        let mut last: HashMap<String, u64> = HashMap::new();
        for (subject, position) in published.unwrap() {
            // Within one relay an aggregate's rows only rise.
            assert!(
                last.insert(subject.clone(), position)
                    .is_none_or(|before| before < position)
            );
            seen.entry(subject).or_default().push(position);
            all += 1;
        }
    }
    assert_eq!(all, 600);
    for positions in seen.values_mut() {
        positions.sort_unstable();
        positions.dedup();
    }
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), 600, "each row once");
    assert_eq!(count(&rig, "SELECT count(*) FROM aftercommit.outbox").await, 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_organization_is_not_behind_a_big_one() {
    let rig = Rig::start().await;
    let messages = Messages::new(&rig.services);
    let of = |organization: &str, number: u32| {
        let mut message = messages.row(&format!("{organization}-{number}"));
        if let OutboxMessage::Event(event) = &mut message {
            event.tenant = Tenant::organization(OrganizationId::new(organization).unwrap());
        }
        message
    };
    write(&rig, (0..2000).map(|number| of("big", number)).collect()).await;
    write(&rig, (0..3).map(|number| of("small", number)).collect()).await;
    let claimed = rig.database.outbox().claim(100, LEASE).await.unwrap();
    let small = claimed.iter().filter(|row| decoded(row).0.contains("small-")).count();
    assert_eq!(small, 3, "all of the small one's rows are in the first claim");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_behind_a_waiting_row_are_set_aside_once_and_come_back_with_it() {
    let rig = Rig::start().await;
    let messages = Messages::new(&rig.services);
    write(&rig, (0..1200).map(|_| messages.row("one")).collect()).await;
    let outbox = rig.database.outbox();
    let mut head = outbox.claim(1, LEASE).await.unwrap();
    assert!(outbox.claim(5000, LEASE).await.unwrap().is_empty());
    assert_eq!(
        count(&rig, "SELECT count(*) FROM aftercommit.outbox WHERE state = 4").await,
        1199
    );
    // Nothing is walked over while the row in front is held.
    assert_eq!(
        count(&rig, "SELECT count(*) FROM aftercommit.outbox WHERE state = 0").await,
        0
    );
    let mut published = 0;
    while !head.is_empty() {
        let claims: Vec<_> = head.iter().map(|row| row.claim).collect();
        published += outbox.mark_published(&claims).await.unwrap().changed;
        head = outbox.claim(256, LEASE).await.unwrap();
    }
    assert_eq!(published, 1200);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_left_behind_by_a_row_somebody_deleted_come_back() {
    let rig = Rig::start().await;
    let messages = Messages::new(&rig.services);
    write(&rig, (0..3).map(|_| messages.row("one")).collect()).await;
    let outbox = rig.database.outbox();
    outbox.claim(1, LEASE).await.unwrap();
    outbox.claim(10, LEASE).await.unwrap();
    sqlx::query("DELETE FROM aftercommit.outbox WHERE state = 1")
        .execute(&rig.database.pools().engine)
        .await
        .unwrap();
    outbox.rescue_expired().await.unwrap();
    assert_eq!(outbox.claim(10, LEASE).await.unwrap().len(), 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_writers_row_is_not_overlooked_when_later_ones_are_gone_already() {
    let rig = Rig::start().await;
    let messages = Messages::new(&rig.services);
    let tenant = Tenant::System;
    let mut slow = rig.database.begin(&tenant).await.unwrap();
    sqlx::query(DRAW).execute(&mut *slow).await.unwrap();
    // So many that the relay begins its walk behind the slow writer's row.
    write(&rig, (0..64).map(|number| messages.row(&number.to_string())).collect()).await;
    let outbox = rig.database.outbox();
    for _ in 0..4 {
        let claimed = outbox.claim(16, LEASE).await.unwrap();
        let claims: Vec<_> = claimed.iter().map(|row| row.claim).collect();
        outbox.mark_published(&claims).await.unwrap();
    }
    slow.commit().await.unwrap();
    let mut claims = 0;
    let late = loop {
        let claimed = outbox.claim(16, LEASE).await.unwrap();
        claims += 1;
        if let Some(row) = claimed.first() {
            break row.claim.position;
        }
        assert!(claims < 3, "found by the second look at the latest");
    };
    assert_eq!(late, 1);
    rig.stop().await;
}

/// Asks again and again what is settled, as a relay does.
struct Settled<'r> {
    rig: &'r Rig,
    known: (i64, Option<i64>, Option<i64>),
}

impl Settled<'_> {
    async fn ask(&mut self) -> i64 {
        self.known = sqlx::query_as("SELECT * FROM aftercommit.outbox_settled($1, $2, $3)")
            .bind(self.known.0)
            .bind(self.known.1)
            .bind(self.known.2)
            .fetch_one(&self.rig.database.pools().engine)
            .await
            .unwrap();
        self.known.0
    }

    /// It is settled in the end: transactions of other databases of the server hold it up for as long as they are open.
    async fn becomes(&mut self, position: i64) {
        let asking = async {
            while self.ask().await != position {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, asking).await.unwrap();
    }

    async fn stays(&mut self, position: i64, why: &str) {
        for _ in 0..3 {
            assert_eq!(self.ask().await, position, "{why}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_settled_that_a_writer_may_still_commit_or_that_is_still_to_be_published() {
    let rig = Rig::start().await;
    let messages = Messages::new(&rig.services);
    let outbox = rig.database.outbox();
    let known = (0, None, None);
    let mut settled = Settled { rig: &rig, known };
    settled.becomes(1).await;
    let mut slow = rig.database.begin(&Tenant::System).await.unwrap();
    sqlx::query(DRAW).execute(&mut *slow).await.unwrap();
    // Of all transactions the youngest is the one that still runs.
    let known = (0, None, None);
    Settled { rig: &rig, known }
        .stays(0, "its position may still come")
        .await;
    write(&rig, (0..4).map(|number| messages.row(&number.to_string())).collect()).await;
    let claimed = outbox.claim(8, LEASE).await.unwrap();
    let claims: Vec<_> = claimed.iter().map(|row| row.claim).collect();
    outbox.mark_published(&claims).await.unwrap();
    settled.stays(1, "the first position may still come").await;
    slow.commit().await.unwrap();
    settled.stays(1, "it came, and waits").await;
    let claimed = outbox.claim(8, LEASE).await.unwrap();
    settled.stays(1, "it is claimed, and may come back").await;
    let failure = Failure::new("test.failed", ErrorClass::Permanent, "on purpose");
    let aside = vec![(claimed[0].claim, Release::Quarantine { failure })];
    outbox.release(aside).await.unwrap();
    // It holds up nobody where it is now.
    settled.becomes(6).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_that_were_rolled_back_are_gaps_that_hold_nobody_up() {
    let rig = Rig::start().await;
    let messages = Messages::new(&rig.services);
    let insert = "INSERT INTO aftercommit.outbox (id, kind, written_at, name, occurred_at, body) \
        VALUES (gen_random_uuid(), 'event', now(), 'Never', now(), '\\x7b7d')";
    for _ in 0..10 {
        // The position is drawn, and nobody ever has it.
        let mut undone = rig.database.begin(&Tenant::System).await.unwrap();
        sqlx::query(insert).execute(&mut *undone).await.unwrap();
        write(&rig, vec![messages.row("one")]).await;
        undone.rollback().await.unwrap();
    }
    let outbox = rig.database.outbox();
    let mut positions = Vec::new();
    loop {
        let claimed = outbox.claim(3, LEASE).await.unwrap();
        if claimed.is_empty() {
            break;
        }
        positions.extend(claimed.iter().map(|row| row.claim.position));
        let claims: Vec<_> = claimed.iter().map(|row| row.claim).collect();
        outbox.mark_published(&claims).await.unwrap();
    }
    assert_eq!(positions.len(), 10);
    assert!(positions.is_sorted(), "{positions:?}");
    assert!(positions[9] - positions[0] > 9, "there are gaps: {positions:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_finds_its_rows_by_the_partial_index() {
    let rig = Rig::start().await;
    let messages = Messages::new(&rig.services);
    write(&rig, (0..500).map(|number| messages.row(&number.to_string())).collect()).await;
    let mut connection = rig.database.pools().engine.acquire().await.unwrap();
    // The statement of the claim; plans inside functions are not shown.
    let explain = "EXPLAIN SELECT ready.position FROM aftercommit.outbox AS ready \
        WHERE ready.state = 0 AND ready.bucket = 'x' AND ready.position > 0 ORDER BY ready.position LIMIT 10 \
        FOR UPDATE SKIP LOCKED";
    sqlx::query("SET enable_seqscan = off; ")
        .execute(&mut *connection)
        .await
        .unwrap();
    let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(explain))
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    let plan = plan.join("\n");
    assert!(plan.contains("Index Scan using outbox_ready"), "{plan}");
    assert!(!plan.contains("Sort"), "{plan}");
    sqlx::query("RESET enable_seqscan")
        .execute(&mut *connection)
        .await
        .unwrap();
    drop(connection);
    let _ = SOON;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_aggregate_take_turns_so_that_positions_rise_in_commit_order() {
    let rig = Rig::start().await;
    let messages = Messages::new(&rig.services);
    let units = rig.database.units_of_work(rig.services.envelopes.clone());
    for rows in [1, 2] {
        // The first writer has its position and is not committed yet; it is a transaction of the application's own.
        let mut first = rig.database.begin(&Tenant::System).await.unwrap();
        let mut writer = aftercommit_platform_db_postgres::create_outbox_writer(
            &mut first,
            rig.services.envelopes.clone(),
            Tenant::System,
            Cause::root(),
            rig.database.relay_wake(),
        );
        aftercommit_domain::events::OutboxWriter::append(&mut writer, vec![messages.row("shared")])
            .await
            .unwrap();
        let mut second = units.begin(&Tenant::System, &Cause::root()).await.unwrap();
        second
            .outbox()
            .append((0..rows).map(|_| messages.row("shared")).collect())
            .await
            .unwrap();
        let mut committing = JoinSet::new();
        committing.spawn(second.commit());
        // Another aggregate's writer is not held up meanwhile.
        write(&rig, vec![messages.row("another")]).await;
        let waits = tokio::time::timeout(Duration::from_millis(200), committing.join_next()).await;
        assert!(waits.is_err(), "the second writer waits for the first");
        first.commit().await.unwrap();
        let committed = tokio::time::timeout(SOON, committing.join_next()).await.unwrap();
        committed.unwrap().unwrap().unwrap();
    }
    rig.stop().await;
}
