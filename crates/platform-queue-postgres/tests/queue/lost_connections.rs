//! Connections that the server ends in the middle of what they were doing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{ConsumeError, Outcome, PublishError, QueueMaintenance as _, QueuePublisher as _};
use aftercommit_testkit::conformance::support::PAST_LEASE;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::rig::Rig;
use crate::steps::id_of;

const TASKS: usize = 600;

#[tokio::test(flavor = "multi_thread")]
async fn ending_every_connection_again_and_again_loses_nothing_and_doubles_nothing_in_the_table() {
    let rig = Rig::start().await;
    let (name, url) = (rig.store.name().to_owned(), rig.store.superuser_url());
    let all_done = CancellationToken::new();
    let killing = all_done.clone();
    let killer = tokio::spawn(async move {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let mut kills = 0;
        while !killing.is_cancelled() {
            let ended: Vec<bool> = sqlx::query_scalar(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = $1 AND pid <> pg_backend_pid() AND usename <> current_user",
            )
            .bind(&name)
            .fetch_all(&mut connection)
            .await
            .unwrap();
            kills += ended.len();
            tokio::time::sleep(Duration::from_millis(70)).await;
        }
        kills
    });
    let mut publishers = JoinSet::new();
    for _ in 0..4 {
        let queue = rig.process.queue.clone();
        let tasks = rig.messages().tasks(TASKS / 4);
        publishers.spawn(async move {
            for task in tasks {
                // As a relay does: again under the same id until it is known to be there.
                while let Err(error) = queue.publish(vec![task.clone()]).await.pop().unwrap() {
                    assert!(
                        matches!(error, PublishError::Unknown { .. } | PublishError::Unavailable { .. }),
                        "{error:?}"
                    );
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
    }
    publishers.join_all().await;
    let there = retried(async || {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM aftercommit.tasks")
            .fetch_one(rig.pool())
            .await
    })
    .await;
    assert_eq!(there, i64::try_from(TASKS).unwrap());

    let acked: Arc<Mutex<HashMap<MessageId, usize>>> = Arc::default();
    let taken: Arc<Mutex<HashMap<MessageId, usize>>> = Arc::default();
    let mut deliveries = loop {
        if let Ok(deliveries) = consume(&rig).await {
            break deliveries;
        }
    };
    let mut settles = JoinSet::new();
    while acked.lock().unwrap().len() < TASKS {
        let next = tokio::time::timeout(Duration::from_millis(500), deliveries.next()).await;
        match next {
            Ok(Ok(Some(delivery))) => {
                let (acked, taken) = (Arc::clone(&acked), Arc::clone(&taken));
                settles.spawn(async move {
                    let id = id_of(&*delivery);
                    *taken.lock().unwrap().entry(id).or_default() += 1;
                    if delivery.ack(&Outcome::Completed).await.is_ok() {
                        *acked.lock().unwrap().entry(id).or_default() += 1;
                    }
                });
            }
            Ok(Err(_)) => {
                deliveries.stop().await;
                if let Ok(new) = consume(&rig).await {
                    deliveries = new;
                }
            }
            Ok(Ok(None)) => panic!("nobody stopped it"),
            // What was claimed by an answer that was lost, and what could not be settled, comes when leases end.
            Err(_) => {
                let _ = retried(async || {
                    sqlx::query("UPDATE public.test_clock SET at = at + interval '31 seconds'")
                        .execute(rig.pool())
                        .await
                })
                .await;
                rig.services.clock.advance(PAST_LEASE);
                let _ = rig.process.queue.rescue_expired().await;
                rig.process.queue.clock_changed();
            }
        }
    }
    settles.join_all().await;
    all_done.cancel();
    let kills = killer.await.unwrap();
    assert!(kills > 10, "only {kills} connections were ended");
    let again = taken.lock().unwrap().values().filter(|times| **times > 1).count();
    println!("{kills} connections ended; {again} of {TASKS} tasks came more than once");
    assert!(
        acked.lock().unwrap().values().all(|times| *times == 1),
        "a task ended twice"
    );
    assert_eq!(rig.count("SELECT count(*) FROM aftercommit.tasks").await, 0);
    let outcomes = rig
        .count("SELECT count(DISTINCT id) FROM aftercommit.task_outcomes")
        .await;
    assert_eq!(outcomes, i64::try_from(TASKS).unwrap());
    assert_eq!(
        rig.count("SELECT count(*) FROM aftercommit.task_outcomes").await,
        outcomes
    );
    rig.stop().await;
}

async fn consume(rig: &Rig) -> Result<Box<dyn aftercommit_domain::tasks::Deliveries>, ConsumeError> {
    use aftercommit_domain::contract::WorkerName;
    use aftercommit_domain::tasks::{ConsumeOptions, QueueConsumer as _};
    let options = ConsumeOptions {
        worker: WorkerName::constant("test"),
        prefetch: 40,
        lease: Duration::from_secs(30),
    };
    rig.process.queue.consume(&crate::steps::TOPIC, options).await
}

/// Its own connections are ended, too.
async fn retried<T>(mut call: impl AsyncFnMut() -> Result<T, sqlx::Error>) -> T {
    loop {
        if let Ok(value) = call().await {
            return value;
        }
    }
}
