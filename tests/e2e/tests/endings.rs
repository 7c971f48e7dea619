//! However a process ends, what comes after is the same: told to stop, told twice, too slow to stop, or killed.
//!
//! `AFTERCOMMIT_E2E_STOPS` is how often each of two applications is ended, 10 unless it is set; `AFTERCOMMIT_E2E_SEED`
//! repeats what they do and the moments they are ended at.

mod stage;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use aftercommit_e2e::ledger::number;
use aftercommit_e2e::trial::{Behaviour, End, Trial, TrialApp};
use aftercommit_e2e::{PATIENCE, eventually};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;

use stage::{Provider, Stage};

/// Trials ordered in each life of a process.
const TRIALS: u32 = 12;
/// How long after it was ready a process is ended, in milliseconds.
const MOMENTS: std::ops::RangeInclusive<u64> = 20..=400;
/// So often it is ended before it may do what it has left: a task that is lost three times with nothing beside it may be the
/// reason.
const IN_A_ROW: usize = 2;
/// Attempts of a task that always fails.
const ATTEMPTS: u32 = 3;
/// How long the last process may take for what all others left behind.
const DRAIN: Duration = Duration::from_mins(1);

/// How a process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Told,
    Killed,
}

/// One life of a process: what is ordered in it, and how it ends.
struct Life {
    trials: Vec<Trial>,
    moment: Duration,
    /// Whether running handlers may finish when it is told to stop, or are cut off at once.
    has_grace: bool,
}

/// The lives of one application; of the other one as well, because they are random by the same seed.
fn lives(stops: u64, seed: u64) -> Vec<Life> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut next = 1..;
    (0..stops)
        .map(|_| Life {
            trials: next
                .by_ref()
                .take(TRIALS as usize)
                .map(|trial| Trial {
                    trial,
                    behaviour: behaviour(&mut random),
                })
                .collect(),
            moment: Duration::from_millis(random.random_range(MOMENTS)),
            has_grace: random.random_bool(0.5),
        })
        .collect()
}

fn behaviour(random: &mut StdRng) -> Behaviour {
    match random.random_range(0..10) {
        0..3 => Behaviour::Succeed,
        3..8 => Behaviour::Take {
            millis: random.random_range(1..=300),
        },
        8 => Behaviour::FailTimes {
            times: random.random_range(1..ATTEMPTS),
        },
        _ => Behaviour::Fail,
    }
}

/// Lives them one after the other, and answers what became of everything.
async fn live(stage: &Stage, lives: &[Life], ending: Ending) -> (TrialApp, BTreeMap<u32, End>) {
    let variables = |life: &Life| {
        let grace = if life.has_grace { "3s" } else { "0s" };
        stage.with(&[
            ("AFTERCOMMIT_TOPICS__TRIALS__MAX_ATTEMPTS", "3"),
            ("AFTERCOMMIT_TOPICS__TRIALS__BASE_DELAY", "100ms"),
            ("AFTERCOMMIT_SHUTDOWN__GRACE", grace),
            ("AFTERCOMMIT_SHUTDOWN__CANCEL", "0s"),
        ])
    };
    let mut app = TrialApp::start(env!("CARGO_BIN_EXE_trial-app"), variables(&lives[0])).await;
    let (mut waiting, mut ordered) = (VecDeque::new(), Vec::new());
    let mut ends = BTreeMap::new();
    for (number, life) in lives.iter().enumerate() {
        ordered.extend(life.trials.iter().copied());
        waiting.extend(life.trials.iter().copied());
        let api = app.product.api();
        let ordering = async {
            // What the end leaves unanswered is ordered again in the next life.
            while let Some(trial) = waiting.front().copied() {
                if !TrialApp::try_to_order(&api, &[trial]).await {
                    break;
                }
                waiting.pop_front();
            }
        };
        let end = async {
            sleep(life.moment).await;
            match ending {
                Ending::Told => assert_eq!(app.product.terminate().await.code, Some(0), "{}", app.product.log()),
                Ending::Killed => app.product.kill9(),
            }
        };
        tokio::join!(ordering, end);
        app.product.set_up(variables(life));
        app.product.start_again().await;
        if number % IN_A_ROW == IN_A_ROW - 1 || number == lives.len() - 1 {
            app.order(&Vec::from(std::mem::take(&mut waiting))).await;
            ends = app.ends(&ordered, DRAIN).await;
        }
    }
    (app, ends)
}

async fn told_is_as_good_as_killed(provider: Provider) {
    let (stops, seed) = (
        number("AFTERCOMMIT_E2E_STOPS", 10),
        number("AFTERCOMMIT_E2E_SEED", 20_261_128),
    );
    let lives = lives(stops, seed);
    let (one, other) = tokio::join!(Stage::on(provider), Stage::on(provider));
    let ((mut told, after_told), (mut killed, after_killed)) =
        tokio::join!(live(&one, &lives, Ending::Told), live(&other, &lives, Ending::Killed));
    println!(
        "{provider:?}: {} trials, {stops} stops, AFTERCOMMIT_E2E_SEED={seed}: {} runs when told, {} when killed",
        after_told.len(),
        told.runs().len(),
        killed.runs().len(),
    );
    for trial in lives.iter().flat_map(|life| &life.trials) {
        // No attempt is lost on a run that the end cut short.
        let expected = End::of(trial.behaviour, ATTEMPTS);
        assert_eq!(after_told[&trial.trial], expected, "told: {trial:?}");
        assert_eq!(after_killed[&trial.trial], expected, "killed: {trial:?}");
    }
    for app in [&mut told, &mut killed] {
        let given_up = app.dead_letters().await;
        assert!(
            given_up
                .iter()
                .all(|letter| letter["failure"]["code"] == "trial.failed")
        );
        assert_eq!(app.product.terminate().await.code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_told_to_stop_leaves_behind_what_one_that_is_killed_does_on_sqlite() {
    told_is_as_good_as_killed(Provider::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_told_to_stop_leaves_behind_what_one_that_is_killed_does_on_postgresql() {
    told_is_as_good_as_killed(Provider::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_told_to_stop_leaves_behind_what_one_that_is_killed_does_on_rabbitmq() {
    told_is_as_good_as_killed(Provider::RabbitMq).await;
}

/// With handlers that run until they are switched; the last of them keeps its thread, and perhaps the runtime with it.
async fn hanging(stage: &Stage, grace: &str) -> (TrialApp, Vec<Trial>) {
    let variables = [
        ("AFTERCOMMIT_SHUTDOWN__GRACE", grace),
        ("AFTERCOMMIT_SHUTDOWN__CANCEL", "1s"),
    ];
    let app = stage.start(&variables).await;
    let held = |trial| Trial {
        trial,
        behaviour: Behaviour::HoldUntilSwitched,
    };
    let mut trials: Vec<Trial> = (1..=3).map(held).collect();
    app.order(&trials).await;
    app.have_begun(3, PATIENCE).await;
    trials.push(Trial {
        trial: 4,
        behaviour: Behaviour::BlockUntilSwitched,
    });
    app.order(&trials[3..]).await;
    eventually("a thread is kept", PATIENCE, async || app.is_blocked(4).then_some(())).await;
    (app, trials)
}

async fn a_second_signal(provider: Provider) {
    let stage = Stage::on(provider).await;
    let (mut app, trials) = hanging(&stage, "60s").await;
    app.product.signal_to_stop();
    eventually("it stops", PATIENCE, async || {
        app.product
            .log()
            .contains("stopping: no new work is taken")
            .then_some(())
    })
    .await;
    let stopped = app.product.terminate().await;
    println!(
        "{provider:?}, second signal: status {:?} after {:.1?}",
        stopped.code, stopped.took
    );
    assert_eq!(stopped.code, Some(1));
    assert!(stopped.took < Duration::from_secs(30), "{stopped:?}");
    nothing_is_lost(app, &trials).await;
}

/// The next process does all of it, in one attempt.
async fn nothing_is_lost(mut app: TrialApp, trials: &[Trial]) {
    for trial in trials {
        app.switch(trial.trial);
    }
    app.product.start_again().await;
    for (trial, end) in app.ends(trials, PATIENCE).await {
        assert_eq!(end, End::of(Behaviour::Succeed, 1), "trial {trial}");
    }
    assert_eq!(app.product.terminate().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once_and_nothing_is_lost_on_sqlite() {
    a_second_signal(Provider::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once_and_nothing_is_lost_on_postgresql() {
    a_second_signal(Provider::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once_and_nothing_is_lost_on_rabbitmq() {
    a_second_signal(Provider::RabbitMq).await;
}

async fn an_overrun(provider: Provider) {
    let stage = Stage::on(provider).await;
    let (mut app, trials) = hanging(&stage, "1s").await;
    let stopped = app.product.terminate().await;
    println!(
        "{provider:?}, overrun: status {:?} after {:.1?}",
        stopped.code, stopped.took
    );
    assert_eq!(stopped.code, Some(1));
    // Its grace of 4 s, closing what somebody keeps, and the last second.
    assert!(stopped.took < Duration::from_secs(30), "{stopped:?}");
    assert!(app.product.log().contains("outcome=Overrun"));
    nothing_is_lost(app, &trials).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_nothing_ends_holds_up_no_stop_and_nothing_is_lost_on_sqlite() {
    an_overrun(Provider::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_nothing_ends_holds_up_no_stop_and_nothing_is_lost_on_postgresql() {
    an_overrun(Provider::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_nothing_ends_holds_up_no_stop_and_nothing_is_lost_on_rabbitmq() {
    an_overrun(Provider::RabbitMq).await;
}
