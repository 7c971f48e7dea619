//! Tasks whose runs were lost: counted, kept apart, given up.

use aftercommit_domain::tasks::{DeadLetterFilter, DeadLetters as _, Outcome, TaskInspector as _};
use aftercommit_domain::tasks::{Deliveries, QueueMaintenance as _, TaskState};

use aftercommit_platform_embedded_sqlite::SqliteDatabase;

use crate::rig::{LEASE, Rig, consume, id_of, next, publish, runtime, take};

#[test]
fn a_task_that_takes_its_process_down_is_given_up_after_three_runs_lost_alone_and_its_neighbours_are_not() {
    let rig = Rig::new();
    let ids = rig.until_it_dies(async |database| publish(&database, rig.messages().tasks(5)).await);
    let killer = ids[2];
    // Each process runs whatever it is handed beside each other, and dies as soon as the killer is among it.
    let work = async |database: SqliteDatabase| {
        let mut deliveries = consume(&database, 10).await;
        loop {
            let mut running = Vec::new();
            while let Some(delivery) = next_or_nothing(&mut deliveries).await {
                let is_killer = id_of(&*delivery) == killer;
                running.push(delivery);
                if is_killer {
                    return true;
                }
            }
            if running.is_empty() {
                return false;
            }
            for delivery in running {
                delivery.ack(&Outcome::Completed).await.unwrap();
            }
        }
    };
    let mut deaths = 0;
    while rig.until_it_dies(work) {
        deaths += 1;
        assert!(deaths <= 5, "it is given up after three runs lost alone");
    }
    // Twice among its neighbours, which may have been the cause; then alone.
    assert_eq!(deaths, 5);
    runtime().block_on(async {
        let database = rig.open().await;
        for id in ids {
            let found = database.queue().find(id).await.unwrap().unwrap();
            let expected = if id == killer {
                TaskState::Dead
            } else {
                TaskState::Completed
            };
            assert_eq!(found.summary.state, expected, "{id}");
        }
        let letters = database
            .dead_letters()
            .list(&DeadLetterFilter::default())
            .await
            .unwrap();
        assert_eq!(letters[0].failure.code, "task.lost");
        database.close().await.unwrap();
    });
}

#[test]
fn a_suspect_that_says_it_runs_alone_is_given_up_whatever_waits_beside_it_and_that_has_lost_nothing() {
    let rig = Rig::new();
    let killer = rig.until_it_dies(async |database| publish(&database, rig.messages().tasks(1)).await)[0];
    // There is always another. Those of them that lost two runs come one at a time.
    for (death, number) in (1..).zip([2, 3, 3, 3, 4, 5, 6]) {
        rig.until_it_dies(async |database| {
            publish(&database, rig.messages().tasks(1)).await;
            let mut deliveries = consume(&database, 10).await;
            let running = take(&mut deliveries, number).await;
            let has_killer = running.iter().any(|delivery| id_of(&**delivery) == killer);
            assert_eq!(has_killer, death <= 6, "it is given up after three runs lost alone");
            for delivery in &running {
                let is_killer = id_of(&**delivery) == killer;
                assert_eq!(delivery.must_run_alone(), is_killer && death > 3);
                if delivery.must_run_alone() {
                    delivery.begin_alone().await.unwrap();
                }
            }
            let lost = running.iter().filter(|delivery| delivery.redelivered()).count();
            if death == 7 {
                assert_eq!(lost, 2, "nothing has lost a run since it was run alone");
            }
        });
    }
}

#[test]
fn only_losses_in_a_row_make_a_task_suspect() {
    let rig = Rig::new();
    rig.until_it_dies(async |database| publish(&database, rig.messages().tasks(1)).await);
    for life in 0..6 {
        rig.until_it_dies(async |database| {
            let mut deliveries = consume(&database, 1).await;
            let delivery = next(&mut deliveries).await;
            assert!(!delivery.must_run_alone(), "after {life} lives");
            if life % 2 == 1 {
                delivery.retry(std::time::Duration::ZERO, false, None).await.unwrap();
            }
        });
    }
}

#[test]
fn tasks_that_run_beside_each_other_are_not_given_up_however_often_their_process_is_killed() {
    let rig = Rig::new();
    let ids = rig.until_it_dies(async |database| publish(&database, rig.messages().tasks(3)).await);
    for _ in 0..20 {
        // A suspect and a fresh task, so that there are always two.
        rig.until_it_dies(async |database| {
            publish(&database, rig.messages().tasks(1)).await;
            let mut deliveries = consume(&database, 10).await;
            let running = take(&mut deliveries, 2).await;
            drop((running, deliveries));
        });
    }
    runtime().block_on(async {
        let database = rig.open().await;
        let letters = database
            .dead_letters()
            .list(&DeadLetterFilter::default())
            .await
            .unwrap();
        assert!(letters.is_empty(), "{letters:?}");
        assert!(database.queue().find(ids[0]).await.unwrap().is_some());
        database.close().await.unwrap();
    });
}

/// The next delivery, if one comes within a moment.
async fn next_or_nothing(deliveries: &mut Box<dyn Deliveries>) -> Option<Box<dyn aftercommit_domain::tasks::Delivery>> {
    let moment = std::time::Duration::from_millis(200);
    tokio::time::timeout(moment, deliveries.next()).await.ok()?.unwrap()
}

#[test]
fn a_task_that_lost_two_runs_is_run_alone_among_its_like() {
    let rig = Rig::new();
    let ids = rig.until_it_dies(async |database| publish(&database, rig.messages().tasks(3)).await);
    for _ in 0..2 {
        rig.until_it_dies(async |database| {
            let mut deliveries = consume(&database, 3).await;
            let running = take(&mut deliveries, 3).await;
            drop((running, deliveries));
        });
    }
    runtime().block_on(async {
        let database = rig.open().await;
        publish(&database, rig.messages().tasks(1)).await;
        let mut deliveries = consume(&database, 10).await;
        let (suspect, fresh) = (next(&mut deliveries).await, next(&mut deliveries).await);
        assert_eq!((id_of(&*suspect), suspect.redelivered()), (ids[0], true));
        assert!(!fresh.redelivered(), "others run beside it");
        assert!(
            next_or_nothing(&mut deliveries).await.is_none(),
            "the other suspects wait"
        );
        suspect.ack(&Outcome::Completed).await.unwrap();
        assert_eq!(id_of(&*next(&mut deliveries).await), ids[1]);
        drop(fresh);
        database.close().await.unwrap();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_settled_or_whose_settling_failed_is_not_lost() {
    let rig = Rig::new();
    let database = rig.open().await;
    publish(&database, rig.messages().tasks(1)).await;
    let mut deliveries = consume(&database, 1).await;
    next(&mut deliveries).await.give_back().await.unwrap();
    next(&mut deliveries)
        .await
        .retry(std::time::Duration::ZERO, true, None)
        .await
        .unwrap();
    let third = next(&mut deliveries).await;
    assert_eq!((third.attempt(), third.redelivered()), (2, false));
    // Dropped unsettled, it is.
    drop(third);
    rig.services.clock.advance(LEASE * 2);
    assert_eq!(database.queue().rescue_expired().await.unwrap(), 1);
    assert!(next(&mut deliveries).await.redelivered());
    database.close().await.unwrap();
}
