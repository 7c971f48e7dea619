//! What becomes of a task whose handler fails or takes its process down, in an application on each provider.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stage;

use std::time::{Duration, Instant};

use aftercommit_e2e::eventually;
use aftercommit_e2e::trial::{Behaviour, End, FAILED, Trial, TrialApp, runs_of};
use tokio::time::sleep;

use stage::{Provider, Stage};

const PATIENCE: Duration = Duration::from_mins(1);

/// Attempts of a task that always fails.
const ATTEMPTS: u32 = 5;
/// The wait after the first of them; it doubles with each further one.
const BASE: Duration = Duration::from_millis(400);

async fn fails_until_its_cause_is_gone(provider: Provider) {
    let stage = Stage::on(provider).await;
    let variables = [
        ("AFTERCOMMIT_TOPICS__TRIALS__MAX_ATTEMPTS", "5"),
        ("AFTERCOMMIT_TOPICS__TRIALS__BASE_DELAY", "400ms"),
        // Nobody dies here, and nobody who is merely slow is taken for dead: each attempt is one run.
        ("AFTERCOMMIT_WORKER__LEASE", "30s"),
        ("AFTERCOMMIT_RELAY__LEASE", "30s"),
        ("AFTERCOMMIT_AMQP__HEARTBEAT", "10s"),
        ("AFTERCOMMIT_AMQP__CONFIRM_TIMEOUT", "25s"),
    ];
    let mut app = stage.start(&variables).await;
    let trials = [Trial {
        trial: 1,
        behaviour: Behaviour::FailUntilSwitched,
    }];
    app.order(&trials).await;
    let letter = eventually("a dead letter", PATIENCE, async || app.dead_letters().await.pop()).await;

    let runs = runs_of(&app.runs(), 1);
    let attempts: Vec<u32> = runs.iter().map(|run| run.attempt).collect();
    assert_eq!(attempts, (1..=ATTEMPTS).collect::<Vec<_>>());
    let gaps: Vec<i64> = runs.windows(2).map(|two| two[1].at - two[0].at).collect();
    println!("{provider:?}: gaps of {gaps:?} ms between {ATTEMPTS} attempts");
    let mut step = i64::try_from(BASE.as_millis()).unwrap();
    for gap in &gaps {
        // Half of a step is jitter.
        assert!(*gap >= step / 2, "too soon: {gaps:?}");
        step *= 2;
    }
    assert!(gaps.last() > gaps.first(), "they grow: {gaps:?}");
    assert_eq!(letter["failure"]["code"], FAILED);
    assert_eq!(letter["failure"]["message"], "nobody has switched it");
    assert_eq!(letter["attempts"], ATTEMPTS);

    app.switch(1);
    let id = letter["id"].as_str().unwrap();
    let replayed = app.product.cli(&["dead-letters", "replay", id, "--yes"]).await;
    assert!(replayed.status.success(), "{replayed:?}");
    let ends = app.ends(&trials, PATIENCE).await;
    assert_eq!(ends[&1], End::of(Behaviour::FailUntilSwitched, ATTEMPTS));
    assert_eq!(app.dead_letters().await.len(), 0);
    assert_eq!(runs_of(&app.runs(), 1).len(), 6, "one run more");
    assert_eq!(app.product.terminate().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_tried_again_after_growing_waits_and_replayed_once_its_cause_is_gone_on_sqlite() {
    fails_until_its_cause_is_gone(Provider::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_tried_again_after_growing_waits_and_replayed_once_its_cause_is_gone_on_postgresql() {
    fails_until_its_cause_is_gone(Provider::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_tried_again_after_growing_waits_and_replayed_once_its_cause_is_gone_on_rabbitmq() {
    fails_until_its_cause_is_gone(Provider::RabbitMq).await;
}

/// Handlers at once.
const CONCURRENCY: &str = "4";
/// The trial that takes its process down.
const KILLER: u32 = 1;
/// The others never leave it alone by themselves: one is ordered this often.
const BETWEEN: Duration = Duration::from_millis(30);
/// How long each of them takes, in milliseconds. So there are more than there are handlers.
const TAKES: u32 = 150;

/// `most` is the number of runs that a task may lose with nothing beside it, if it is set.
async fn takes_its_process_down(provider: Provider, most: Option<usize>) {
    let stage = Stage::on(provider).await;
    let setting = most.map(|most| most.to_string());
    let mut settings = vec![("AFTERCOMMIT_WORKER__CONCURRENCY", CONCURRENCY)];
    if let Some(most) = &setting {
        settings.push(("AFTERCOMMIT_WORKER__MAX_LOST_RUNS", most));
        // A process that stands still for a second has lost no run of a neighbour.
        settings.push(("AFTERCOMMIT_WORKER__LEASE", "5s"));
    }
    let mut app = stage.start(&settings).await;
    let killer = Trial {
        trial: KILLER,
        behaviour: Behaviour::Abort { after_millis: 100 },
    };
    let takes = Behaviour::Take { millis: TAKES };
    let mut neighbours: Vec<Trial> = (KILLER + 1..)
        .take(4)
        .map(|trial| Trial {
            trial,
            behaviour: takes,
        })
        .collect();
    let first = [&[killer], &neighbours[..]].concat();
    // It may be gone before it has answered.
    let mut is_ordered = TrialApp::try_to_order(&app.product.api(), &first).await;

    let (begun, mut deaths) = (Instant::now(), 0);
    let letter = loop {
        assert!(begun.elapsed() < PATIENCE, "it is given up; {deaths} deaths");
        is_ordered = is_ordered || TrialApp::try_to_order(&app.product.api(), &first).await;
        let next = Trial {
            trial: neighbours.last().unwrap().trial + 1,
            behaviour: takes,
        };
        if TrialApp::try_to_order(&app.product.api(), &[next]).await {
            neighbours.push(next);
        }
        let letters = app.product.admin().try_get("/admin/v1/dead-letters").await;
        if let Some(letter) = letters
            .ok()
            .and_then(|letters| letters.json()["dead_letters"][0].as_object().cloned())
        {
            break letter;
        }
        let mut ended = app.product.has_ended();
        while let Some(status) = ended {
            assert_eq!(status.code(), None, "{status}");
            deaths += 1;
            ended = app.product.try_to_start_again().await;
        }
        sleep(BETWEEN).await;
    };
    let runs = app.runs();
    let lost = runs_of(&runs, KILLER);
    println!(
        "{provider:?}: {deaths} deaths; {} neighbours in {} runs",
        neighbours.len(),
        runs.len() - lost.len(),
    );
    assert_eq!(letter["failure"]["code"], "task.lost", "{letter:?}");
    assert_eq!(letter["id"], lost[0].task.as_str());
    assert_eq!(lost.len(), deaths, "each of its runs was the end of a process");
    // The first three times it is not known which of those that ran beside each other it was.
    let alone = most.unwrap_or(3);
    assert!((alone..=3 + alone).contains(&deaths), "{deaths} deaths");

    let ends = app.ends(&neighbours, PATIENCE).await;
    for (trial, end) in &ends {
        assert_eq!(*end, End::of(takes, 1), "trial {trial}");
    }
    assert_eq!(app.dead_letters().await.len(), 1, "nobody else is given up");
    assert_eq!(app.look(&[killer]).await[&KILLER].effects, 1);
    assert_eq!(app.product.terminate().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_its_process_down_again_and_again_is_given_up_and_its_neighbours_are_not_on_sqlite() {
    takes_its_process_down(Provider::Sqlite, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_its_process_down_again_and_again_is_given_up_and_its_neighbours_are_not_on_postgresql() {
    takes_its_process_down(Provider::Postgres, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_its_process_down_again_and_again_is_given_up_and_its_neighbours_are_not_on_rabbitmq() {
    takes_its_process_down(Provider::RabbitMq, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_may_lose_one_run_alone_is_given_up_after_it_on_sqlite() {
    takes_its_process_down(Provider::Sqlite, Some(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_may_lose_one_run_alone_is_given_up_after_it_on_postgresql() {
    takes_its_process_down(Provider::Postgres, Some(1)).await;
}
