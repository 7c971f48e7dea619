//! Tasks whose runs were lost: counted, kept apart, given up.

use std::collections::HashSet;
use std::time::Duration;

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    Deliveries, Delivery, Outcome, QueueMaintenance as _, SettleError, TaskInspector as _, TaskState,
};
use aftercommit_platform_db_postgres::PostgresOptions;
use aftercommit_platform_queue_postgres::PostgresQueueOptions;
use aftercommit_testkit::conformance::support::{PAST_LEASE, QUIET, next, ok};

use crate::rig::{Process, Rig};
use crate::steps::id_of;

impl Process {
    /// Ends without a word: what it had stays its own until the leases are over.
    async fn die(self, had: (Box<dyn Deliveries>, Vec<Box<dyn Delivery>>)) {
        self.stop().await;
        drop(had);
    }
}

async fn next_or_nothing(deliveries: &mut Box<dyn Deliveries>) -> Option<Box<dyn Delivery>> {
    let next = tokio::time::timeout(QUIET, deliveries.next()).await;
    next.ok().map(|delivery| delivery.unwrap().unwrap())
}

/// Runs whatever it is handed beside each other, and dies as soon as one of `killers` is among it.
pub(crate) async fn work(process: Process, killers: &HashSet<MessageId>) -> bool {
    let mut deliveries = process.consume(10).await;
    loop {
        let mut running = Vec::new();
        while let Some(delivery) = next_or_nothing(&mut deliveries).await {
            let is_killer = killers.contains(&id_of(&*delivery));
            running.push(delivery);
            if is_killer {
                process.die((deliveries, running)).await;
                return true;
            }
        }
        let depths = process.queue.depths().await.unwrap();
        let is_anything_left = depths.iter().any(|depth| depth.available + depth.running > 0);
        if running.is_empty() && !is_anything_left {
            deliveries.stop().await;
            process.stop().await;
            return false;
        }
        for delivery in running {
            ok("an ack", delivery.ack(&Outcome::Completed)).await;
        }
    }
}

#[tokio::test]
async fn a_task_that_takes_its_process_down_is_given_up_after_three_runs_lost_alone_and_its_neighbours_are_not() {
    let rig = Rig::start().await;
    let ids = rig.process.publish(rig.messages().tasks(5)).await;
    let killers = HashSet::from([ids[2]]);
    let mut deaths = 0;
    while work(rig.another(10 + deaths).await, &killers).await {
        deaths += 1;
        assert!(deaths <= 5, "it is given up after three runs lost alone");
        rig.advance(PAST_LEASE).await;
        ok("a rescue", rig.process.queue.rescue_expired()).await;
    }
    // Twice among its neighbours, which may have been the cause; then alone.
    assert_eq!(deaths, 5);
    for id in ids {
        let found = rig.process.queue.find(id).await.unwrap().unwrap();
        let is_killer = killers.contains(&id);
        let expected = if is_killer {
            TaskState::Dead
        } else {
            TaskState::Completed
        };
        assert_eq!(found.summary.state, expected, "{id}");
        assert_eq!(found.code.as_deref(), is_killer.then_some("task.lost"));
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_suspect_that_says_it_runs_alone_is_given_up_whatever_waits_beside_it_and_that_has_lost_nothing() {
    let rig = Rig::start().await;
    let killer = rig.process.publish(rig.messages().tasks(1)).await[0];
    // There is always another. Those of them that lost two runs come one at a time.
    for (death, number) in (1..).zip([2, 3, 3, 3, 4, 5, 6]) {
        let process = rig.another(60 + death).await;
        process.publish(rig.messages().tasks(1)).await;
        let mut deliveries = process.consume(10).await;
        let mut running = Vec::new();
        for _ in 0..number {
            let delivery = next(&mut deliveries, "a task").await;
            let is_killer = id_of(&*delivery) == killer;
            assert_eq!(
                is_killer,
                death <= 6 && running.is_empty(),
                "it is given up after three runs lost alone"
            );
            assert_eq!(delivery.must_run_alone(), is_killer && death > 3);
            if delivery.must_run_alone() {
                ok("beginning alone", delivery.begin_alone()).await;
            }
            running.push(delivery);
        }
        let lost = running.iter().filter(|delivery| delivery.redelivered()).count();
        if death == 7 {
            assert_eq!(lost, 2, "nothing has lost a run since it was run alone");
        }
        process.die((deliveries, running)).await;
        rig.advance(PAST_LEASE).await;
        ok("a rescue", rig.process.queue.rescue_expired()).await;
    }
    let found = rig.process.queue.find(killer).await.unwrap().unwrap();
    assert_eq!(found.code.as_deref(), Some("task.lost"));
    rig.stop().await;
}

#[tokio::test]
async fn only_losses_in_a_row_make_a_task_suspect() {
    let rig = Rig::start().await;
    rig.process.publish(rig.messages().tasks(1)).await;
    for seed in 0..6 {
        let process = rig.another(90 + seed).await;
        let mut deliveries = process.consume(1).await;
        let delivery = next(&mut deliveries, "the task").await;
        assert!(!delivery.must_run_alone(), "after {seed} losses");
        if seed % 2 == 1 {
            ok("a retry", delivery.retry(Duration::ZERO, false, None)).await;
            process.stop().await;
            continue;
        }
        process.die((deliveries, vec![delivery])).await;
        rig.advance(PAST_LEASE).await;
        assert_eq!(ok("a rescue", rig.process.queue.rescue_expired()).await, 1);
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_suspect_whose_lease_was_lost_does_not_begin() {
    let rig = Rig::start().await;
    rig.process.publish(rig.messages().tasks(1)).await;
    let process = rig.another(70).await;
    let mut deliveries = process.consume(1).await;
    let delivery = next(&mut deliveries, "a task").await;
    rig.advance(PAST_LEASE).await;
    assert_eq!(ok("a rescue", rig.process.queue.rescue_expired()).await, 1);
    let refused = delivery.begin_alone().await;
    assert!(matches!(refused, Err(SettleError::Stale)), "{refused:?}");
    rig.stop().await;
}

#[tokio::test]
async fn beside_another_queue_a_task_is_blamed_only_for_runs_that_were_alone_for_certain() {
    let rig = Rig::start().await;
    let beside_another = PostgresQueueOptions {
        runs_beside_another_queue: true,
        ..PostgresQueueOptions::default()
    };
    let options = PostgresOptions::new(rig.store.url());
    let rescuer = Process::start_with(options, &rig.services, 3, beside_another).await;
    let id = rig.process.publish(rig.messages().tasks(1)).await[0];
    for seed in 0..8 {
        let process = rig.another(80 + seed).await;
        let mut deliveries = process.consume(1).await;
        let running = vec![next(&mut deliveries, "the task").await];
        process.die((deliveries, running)).await;
        rig.advance(PAST_LEASE).await;
        assert_eq!(ok("a rescue", rescuer.queue.rescue_expired()).await, 1);
    }
    let found = rig.process.queue.find(id).await.unwrap().unwrap();
    assert_eq!(
        found.summary.state,
        TaskState::Available,
        "tasks of the other queue may have run beside it"
    );
    rescuer.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn tasks_that_run_beside_each_other_are_not_given_up_however_often_their_process_is_killed() {
    let rig = Rig::start().await;
    let ids = rig.process.publish(rig.messages().tasks(3)).await;
    for seed in 0..8 {
        let process = rig.another(20 + seed).await;
        // A suspect and a fresh task, so that there are always two.
        process.publish(rig.messages().tasks(1)).await;
        let mut deliveries = process.consume(2).await;
        let running = vec![
            next(&mut deliveries, "a task").await,
            next(&mut deliveries, "a task").await,
        ];
        process.die((deliveries, running)).await;
        rig.advance(PAST_LEASE).await;
        assert_eq!(ok("a rescue", rig.process.queue.rescue_expired()).await, 2);
    }
    for id in ids {
        let found = rig.process.queue.find(id).await.unwrap().unwrap();
        assert_eq!(found.summary.state, TaskState::Available, "{id}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_suspect_is_run_alone_among_its_like_in_each_process() {
    let rig = Rig::start().await;
    let ids = rig.process.publish(rig.messages().tasks(3)).await;
    for seed in 0..2 {
        let process = rig.another(30 + seed).await;
        let mut deliveries = process.consume(3).await;
        let mut running = Vec::new();
        for _ in 0..3 {
            running.push(next(&mut deliveries, "a task").await);
        }
        process.die((deliveries, running)).await;
        rig.advance(PAST_LEASE).await;
        assert_eq!(ok("a rescue", rig.process.queue.rescue_expired()).await, 3);
    }
    let fresh = rig.process.publish(rig.messages().tasks(1)).await;
    let mut deliveries = rig.process.consume(10).await;
    let (suspect, beside) = (
        next(&mut deliveries, "a suspect").await,
        next(&mut deliveries, "the fresh one").await,
    );
    assert_eq!((id_of(&*suspect), suspect.redelivered()), (ids[0], true));
    assert_eq!(id_of(&*beside), fresh[0]);
    assert!(
        next_or_nothing(&mut deliveries).await.is_none(),
        "the other suspects wait"
    );
    ok("an ack", suspect.ack(&Outcome::Completed)).await;
    for id in &ids[1..] {
        let suspect = next(&mut deliveries, "the next suspect").await;
        assert_eq!(id_of(&*suspect), *id);
        ok("an ack", suspect.ack(&Outcome::Completed)).await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_given_up_head_lets_its_followers_go() {
    let rig = Rig::start().await;
    let tasks = vec![rig.messages().ordered_task("a"), rig.messages().ordered_task("a")];
    let ids = rig.process.publish(tasks).await;
    let killers = HashSet::from([ids[0]]);
    for seed in 0..3 {
        assert!(work(rig.another(40 + seed).await, &killers).await);
        rig.advance(PAST_LEASE).await;
        ok("a rescue", rig.process.queue.rescue_expired()).await;
    }
    let mut deliveries = rig.process.consume(1).await;
    assert_eq!(id_of(&*next(&mut deliveries, "the follower").await), ids[1]);
    rig.stop().await;
}

#[tokio::test]
async fn one_rescue_frees_what_a_lost_process_had_however_many_others_ended_with_nothing() {
    let rig = Rig::start().await;
    rig.process.publish(rig.messages().tasks(1)).await;
    let process = rig.another(50).await;
    let mut deliveries = process.consume(1).await;
    let running = vec![next(&mut deliveries, "a task").await];
    process.die((deliveries, running)).await;
    // Processes of restarts one after the other, on either side of it whatever they are sorted by.
    for process in (1..=20_i64).flat_map(|number| [i64::MIN + number, i64::MAX - number]) {
        sqlx::query(
            "INSERT INTO aftercommit.consumers (process, worker, topic, lease_until) \
             VALUES ($1, 'worker', 'steps', aftercommit.clock())",
        )
        .bind(process)
        .execute(rig.pool())
        .await
        .unwrap();
    }
    rig.advance(PAST_LEASE).await;
    assert_eq!(ok("a rescue", rig.process.queue.rescue_expired()).await, 1);
    rig.stop().await;
}
