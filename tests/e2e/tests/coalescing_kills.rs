//! Three who publish one debounced key at random while one of their processes and the broker are killed: one run, after the quiet
//! time, with the last payload.
//!
//! On SQLite only one process may open the file, so that the three are clients of one process, which is killed. The full run is
//! `AFTERCOMMIT_E2E_PUBLISHES=1000 AFTERCOMMIT_E2E_ROUNDS=20 cargo test -p aftercommit-e2e --test coalescing_kills --
//! --nocapture`; `AFTERCOMMIT_E2E_SEED` repeats the moments.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod stage;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aftercommit_e2e::ledger::number;
use aftercommit_e2e::trial::{RefreshOrder, Run, TrialApp};
use aftercommit_e2e::{Api, PATIENCE, eventually};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::sleep;

use stage::{Provider, Stage};

const PUBLISHERS: u32 = 3;
/// How long it must be quiet: longer than a process takes to come again, so that one run is what is to be expected.
const QUIET_MILLIS: i64 = 3000;
/// The longest rest between two publishes of one publisher.
const REST_MILLIS: u64 = 20;
/// What the clock of this test and the millisecond that a run notes may differ by.
const ROUNDING: i64 = 2;

/// A publish that was answered. It was written somewhen between the two, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Answered {
    number: u32,
    sent: i64,
    answered: i64,
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    now.as_millis().try_into().unwrap()
}

/// Where the publishers reach their processes, which come again under other addresses.
#[derive(Clone)]
struct Addresses(Arc<Mutex<Vec<Api>>>);

impl Addresses {
    fn of(apps: &[TrialApp]) -> Self {
        Self(Arc::new(Mutex::new(apps.iter().map(|app| app.product.api()).collect())))
    }

    fn of_publisher(&self, publisher: u32) -> Api {
        let addresses = self.0.lock().unwrap();
        addresses[publisher as usize % addresses.len()].clone()
    }

    fn moved(&self, process: usize, api: Api) {
        self.0.lock().unwrap()[process] = api;
    }
}

/// Publishes under one id until it is answered.
async fn publish(addresses: &Addresses, publisher: u32, number: u32) -> Answered {
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let order = RefreshOrder {
        id,
        number,
        quiet_millis: QUIET_MILLIS.unsigned_abs(),
    };
    let order = serde_json::to_value(order).unwrap();
    let sent = now();
    loop {
        let answer = addresses.of_publisher(publisher).try_post("/refreshes", &order).await;
        if answer.is_ok_and(|answer| answer.status == 204) {
            return Answered {
                number,
                sent,
                answered: now(),
            };
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn runs(apps: &[TrialApp]) -> Vec<Run> {
    let mut runs: Vec<Run> = apps.iter().flat_map(TrialApp::runs).collect();
    runs.sort_by_key(|run| run.at);
    runs
}

async fn one_run_with_the_last_payload(provider: Provider) {
    let publishes = u32::try_from(number("AFTERCOMMIT_E2E_PUBLISHES", 300)).unwrap();
    let seed = number("AFTERCOMMIT_E2E_SEED", 20_261_128);
    let broker = match provider {
        Provider::RabbitMq => Some(RabbitMqServer::start(RabbitMqOptions::default()).await),
        Provider::Sqlite | Provider::Postgres => None,
    };
    let stage = Stage::on(provider).await;
    let url = broker.as_ref().map(RabbitMqServer::url);
    let own_broker: Vec<(&str, &str)> = url.iter().map(|url| ("AMQP_URL", url.as_str())).collect();
    let processes = if provider == Provider::Sqlite { 1 } else { PUBLISHERS };
    let mut apps = Vec::new();
    for _ in 0..processes {
        apps.push(stage.start(&own_broker).await);
    }
    for round in 0..number("AFTERCOMMIT_E2E_ROUNDS", 1) {
        let mut random = StdRng::seed_from_u64(seed + round);
        let before = runs(&apps).len();
        let (addresses, answered) = (Addresses::of(&apps), Arc::new(AtomicU32::new(0)));
        // They go on until everything is back, so that it is never quiet for long.
        let (taken, is_back) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let mut publishing = JoinSet::new();
        for publisher in 0..PUBLISHERS {
            let (addresses, answered) = (addresses.clone(), Arc::clone(&answered));
            let (taken, is_back) = (Arc::clone(&taken), Arc::clone(&is_back));
            let mut random = StdRng::seed_from_u64(random.random());
            publishing.spawn(async move {
                let mut own = Vec::new();
                while answered.load(Ordering::SeqCst) < publishes || !is_back.load(Ordering::SeqCst) {
                    let number = taken.fetch_add(1, Ordering::SeqCst);
                    own.push(publish(&addresses, publisher, number).await);
                    answered.fetch_add(1, Ordering::SeqCst);
                    sleep(Duration::from_millis(random.random_range(0..=REST_MILLIS))).await;
                }
                own
            });
        }
        let reaches = async |share: u32| {
            eventually("publishes are answered", PATIENCE, async || {
                (answered.load(Ordering::SeqCst) >= publishes * share / 100).then_some(())
            })
            .await;
        };
        let killed = random.random_range(0..apps.len());
        reaches(random.random_range(20..50)).await;
        apps[killed].product.kill9();
        if let Some(broker) = &broker {
            broker.kill().await;
            let (again, ()) = tokio::join!(apps[killed].product.try_to_start_again(), broker.start_again());
            assert_eq!(again, None, "it waits for its broker");
        } else {
            apps[killed].product.start_again().await;
        }
        addresses.moved(killed, apps[killed].product.api());
        is_back.store(true, Ordering::SeqCst);
        let mut all: Vec<Answered> = publishing.join_all().await.into_iter().flatten().collect();
        // The last one after all others, so that it is known which it is.
        let last = publish(&addresses, 0, taken.load(Ordering::SeqCst)).await;
        all.push(last);
        let last_run = eventually("the run of the last payload", PATIENCE, async || {
            runs(&apps)
                .into_iter()
                .skip(before)
                .find(|run| run.trial == last.number)
        })
        .await;
        // Whatever else there was to come has come by now as well.
        let runs: Vec<Run> = runs(&apps).into_iter().skip(before).collect();
        println!(
            "{provider:?}, round {round}, AFTERCOMMIT_E2E_SEED={seed}: {} publishes, {} runs, the last {} ms after the last \
             publish was sent",
            all.len(),
            runs.len(),
            last_run.at - last.sent,
        );
        for run in &runs {
            let early = all
                .iter()
                .find(|one| one.sent > run.at - QUIET_MILLIS + ROUNDING && one.answered < run.at);
            assert_eq!(early.map(|one| one.number), None, "it was not quiet before {run:?}");
        }
        all.sort_by_key(|one| one.answered);
        let gaps = all
            .windows(2)
            .filter(|two| two[1].answered - two[0].sent >= QUIET_MILLIS);
        assert!(runs.len() <= 1 + gaps.count(), "{runs:?}");
        assert_eq!(runs.iter().filter(|run| run.trial == last.number).count(), 1);
        assert_eq!(runs.last().map(|run| run.trial), Some(last.number));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_clients_of_a_killed_process_on_sqlite_lead_to_one_run_after_the_quiet_time_with_the_last_payload() {
    one_run_with_the_last_payload(Provider::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_on_postgresql_one_killed_lead_to_one_run_after_the_quiet_time_with_the_last_payload() {
    one_run_with_the_last_payload(Provider::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_on_rabbitmq_one_killed_with_the_broker_lead_to_one_run_with_the_last_payload() {
    one_run_with_the_last_payload(Provider::RabbitMq).await;
}
