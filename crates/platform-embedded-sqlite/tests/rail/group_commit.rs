//! Many writes in one transaction, each with an answer of its own.

use aftercommit_domain::contract::TaskName;
use aftercommit_domain::tasks::{Outcome, PublishError, Published, QueuePublisher as _};
use futures::future::join_all;

use crate::rig::{Rig, consume, id_of, publish, soon, take};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_cannot_be_done_fails_alone() {
    let rig = Rig::new();
    let database = rig.open().await;
    publish(&database, rig.messages().tasks(3)).await;
    let mut deliveries = consume(&database, 3).await;
    let held = take(&mut deliveries, 3).await;
    // A rule of the application stands in for whatever may make SQLite refuse one row.
    let mut transaction = database.begin().await.unwrap();
    sqlx::query(
        "CREATE TRIGGER refuse BEFORE INSERT ON aftercommit_tasks WHEN NEW.task = 'poison' \
         BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    )
    .execute(&mut *transaction)
    .await
    .unwrap();
    // While this transaction is open all of the following gather in one group.
    let poison = TaskName::constant("poison");
    let publishes = (0..10).map(|number| {
        let mut task = rig.messages().task();
        if number == 4 {
            task.task = poison.clone();
        }
        let queue = database.queue();
        async move { queue.publish(vec![task]).await.remove(0) }
    });
    let acks = held.into_iter().map(|delivery| delivery.ack(&Outcome::Completed));
    let (published, acked, ()) = soon(async {
        tokio::join!(join_all(publishes), join_all(acks), async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            transaction.commit().await.unwrap();
        })
    })
    .await;
    for (number, result) in published.into_iter().enumerate() {
        if number == 4 {
            assert!(
                matches!(&result, Err(PublishError::Refused { reason }) if reason.contains("not this one")),
                "{result:?}"
            );
        } else {
            assert!(matches!(result, Ok(Published::Enqueued(_))), "{number}: {result:?}");
        }
    }
    assert!(acked.iter().all(Result::is_ok), "{acked:?}");
    assert_eq!(take(&mut deliveries, 3).await.len(), 3, "the others are there");
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_cannot_be_done_and_is_alone_is_not_answered_as_done() {
    let rig = Rig::new();
    let database = rig.open().await;
    publish(&database, rig.messages().tasks(1)).await;
    let mut deliveries = consume(&database, 1).await;
    let held = take(&mut deliveries, 1).await.remove(0);
    let mut transaction = database.begin().await.unwrap();
    for (event, table) in [("INSERT", "aftercommit_tasks"), ("DELETE", "aftercommit_tasks")] {
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "CREATE TRIGGER refuse_{event} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'not now'); END"
        )))
        .execute(&mut *transaction)
        .await
        .unwrap();
    }
    transaction.commit().await.unwrap();
    let published = soon(database.queue().publish(rig.messages().tasks(1))).await;
    assert!(
        matches!(published[0], Err(PublishError::Refused { .. })),
        "{published:?}"
    );
    let acked = soon(held.ack(&Outcome::Completed)).await;
    assert!(acked.is_err(), "{acked:?}");
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_with_one_id_in_one_group_are_one_task() {
    let rig = Rig::new();
    let database = rig.open().await;
    let (task, transaction) = (rig.messages().ordered_task("a"), database.begin().await.unwrap());
    let follower = rig.messages().ordered_task("a");
    let publishes = [task.clone(), task.clone(), follower.clone(), task].map(|task| {
        let queue = database.queue();
        async move { queue.publish(vec![task]).await.remove(0).unwrap() }
    });
    let (published, ()) = soon(async {
        tokio::join!(join_all(publishes), async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            transaction.commit().await.unwrap();
        })
    })
    .await;
    let new = published
        .iter()
        .filter(|result| matches!(result, Published::Enqueued(_)))
        .count();
    assert_eq!(new, 2, "{published:?}");
    let mut deliveries = consume(&database, 5).await;
    take(&mut deliveries, 1)
        .await
        .remove(0)
        .ack(&Outcome::Completed)
        .await
        .unwrap();
    let second = take(&mut deliveries, 1).await.remove(0);
    assert_eq!(id_of(&*second), follower.id);
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_whose_head_was_there_under_another_key_is_not_stuck() {
    let rig = Rig::new();
    let database = rig.open().await;
    let head = rig.messages().ordered_task("a");
    publish(&database, vec![head.clone()]).await;
    // The same id under another key adds nothing, so nothing is before its follower.
    let mut moved = rig.messages().ordered_task("b");
    moved.id = head.id;
    let follower = rig.messages().ordered_task("b");
    let results = database.queue().publish(vec![moved, follower.clone()]).await;
    assert!(matches!(results[0], Ok(Published::AlreadyThere(_))), "{results:?}");
    let mut deliveries = consume(&database, 5).await;
    let both: Vec<_> = take(&mut deliveries, 2)
        .await
        .iter()
        .map(|delivery| id_of(&**delivery))
        .collect();
    assert_eq!(both, [head.id, follower.id]);
    database.close().await.unwrap();
}
