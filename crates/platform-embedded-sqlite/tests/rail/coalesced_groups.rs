//! Coalesced publishes of many callers in one transaction, each with an answer of its own.

use std::time::Duration;

use aftercommit_domain::contract::{TaskEnvelope, TaskName};
use aftercommit_domain::tasks::{Coalesced, Coalescing, PublishError, Published, QueuePublisher as _};
use futures::future::join_all;

use crate::rig::{Rig, soon};

fn debounced(rig: &Rig, key: &str) -> TaskEnvelope {
    TaskEnvelope {
        coalescing: Some(Coalescing::debounce(key, Duration::from_secs(1), None)),
        ..rig.messages().task()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn coalesced_publishes_of_one_group_are_answered_apart_and_one_that_is_refused_fails_alone() {
    let rig = Rig::new();
    let database = rig.open().await;
    let mut transaction = database.begin().await.unwrap();
    sqlx::query(
        "CREATE TRIGGER refuse BEFORE INSERT ON aftercommit_tasks WHEN NEW.task = 'poison' \
         BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    )
    .execute(&mut *transaction)
    .await
    .unwrap();
    let poison = TaskEnvelope {
        task: TaskName::constant("poison"),
        ..debounced(&rig, "poison")
    };
    let (first, of_another_key) = (debounced(&rig, "a"), debounced(&rig, "b"));
    // While this transaction is open all of the following gather in one group, in this order.
    let tasks = vec![
        first.clone(),
        poison,
        of_another_key.clone(),
        debounced(&rig, "a"),
        first.clone(),
    ];
    let last = tasks[3].id;
    let publishes = tasks.into_iter().map(|task| {
        let queue = database.queue();
        async move { queue.publish(vec![task]).await.remove(0) }
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
    assert!(
        matches!(&published[1], Err(PublishError::Refused { reason }) if reason.contains("not this one")),
        "{published:?}"
    );
    let published: Vec<Published> = published.into_iter().filter_map(Result::ok).collect();
    assert_eq!(
        published,
        [
            Published::Enqueued(first.id),
            Published::Enqueued(of_another_key.id),
            Published::Coalesced {
                into: last,
                why: Coalesced::Replaced(first.id),
            },
            // The same publish again changes nothing.
            Published::AlreadyThere(first.id),
        ]
    );
    database.close().await.unwrap();
}
