//! What is kept of what is over.

use aftercommit_domain::events::{EventFilter, EventLog as _};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{DeadLetters as _, Outcome, Reason, TaskInspector as _};
use aftercommit_domain::time::{Clock as _, hours};
use aftercommit_platform_embedded_sqlite::{RecordSuccesses, SqliteOptions};

use crate::rig::{Rig, consume, publish, take};

/// How many of `tasks` completed tasks, and whether a skipped one, leave a row.
async fn recorded(record_successes: RecordSuccesses, tasks: usize) -> (usize, bool) {
    let rig = Rig::new();
    let options = SqliteOptions {
        record_successes,
        ..rig.options()
    };
    let database = rig.open_with(options).await.unwrap();
    let ids = publish(&database, rig.messages().tasks(tasks + 1)).await;
    let mut deliveries = consume(&database, tasks + 1).await;
    let mut taken = take(&mut deliveries, tasks + 1).await;
    let skipped = Outcome::Skipped(Reason::new("it is gone"));
    taken.remove(0).ack(&skipped).await.unwrap();
    let acks = taken.into_iter().map(|delivery| delivery.ack(&Outcome::Completed));
    futures::future::try_join_all(acks).await.unwrap();
    let mut completed = 0;
    for id in &ids[1..] {
        completed += usize::from(database.queue().find(*id).await.unwrap().is_some());
    }
    let has_skipped = database.queue().find(ids[0]).await.unwrap().is_some();
    database.close().await.unwrap();
    (completed, has_skipped)
}

#[tokio::test(flavor = "multi_thread")]
async fn successes_leave_a_row_as_configured_and_everything_else_always() {
    assert_eq!(recorded(RecordSuccesses::All, 20).await, (20, true));
    assert_eq!(recorded(RecordSuccesses::None, 20).await, (0, true));
    let (sampled, has_skipped) = recorded(RecordSuccesses::Sampled, 1000).await;
    assert!((1..40).contains(&sampled) && has_skipped, "{sampled} of 1000");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_events_are_forgotten_a_limited_number_at_a_time() {
    let rig = Rig::new();
    let database = rig.open().await;
    let log = database.event_log();
    let event = |aggregate: &str| rig.messages().event(aggregate);
    log.record(&[event("a"), event("b"), event("c")]).await.unwrap();
    rig.services.clock.advance(hours(2));
    let young = event("d");
    log.record(std::slice::from_ref(&young)).await.unwrap();
    let before = rig.services.clock.now();
    assert_eq!(log.prune(before, 2).await.unwrap(), 2);
    assert_eq!(log.prune(before, 2).await.unwrap(), 1);
    assert_eq!(log.prune(before, 2).await.unwrap(), 0);
    let left = log.list(&EventFilter::default()).await.unwrap();
    assert_eq!(
        left.iter().map(|logged| logged.event.id).collect::<Vec<_>>(),
        [young.id]
    );
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_replayed_or_discarded_a_dead_letter_is_recorded() {
    let rig = Rig::new();
    let database = rig.open().await;
    let ids = publish(&database, rig.messages().tasks(2)).await;
    let mut deliveries = consume(&database, 2).await;
    let failure = Failure::new("test.failed", ErrorClass::Permanent, "no");
    for delivery in take(&mut deliveries, 2).await {
        delivery.dead_letter(&failure).await.unwrap();
    }
    let letters = database.dead_letters();
    assert_eq!(letters.replay(&ids[..1], "ann").await.unwrap(), ids[..1]);
    assert_eq!(letters.discard(&ids, "bob").await.unwrap(), ids[1..]);
    let actions: Vec<(uuid::Uuid, String, String)> =
        sqlx::query_as("SELECT id, action, actor FROM aftercommit_dead_letter_actions ORDER BY entry")
            .fetch_all(database.reader())
            .await
            .unwrap();
    let expected = [(ids[0].uuid(), "replay", "ann"), (ids[1].uuid(), "discard", "bob")]
        .map(|(id, action, actor)| (id, action.to_owned(), actor.to_owned()));
    assert_eq!(actions, expected);
    database.close().await.unwrap();
}
