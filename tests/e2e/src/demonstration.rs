//! The product on each provider under `aftercommit demo`, which follows every request to its end and says what it found.

use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use aftercommit_testkit::postgres_server::{PostgresServer, TestDatabase};
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::Child;

use crate::broker::SEALING_KEYS;
use crate::{PATIENCE, Product, Program, Setup, eventually, stable_address};

/// How long the demonstration waits at the end for what is under way: the lease of a process that was killed, and what piled
/// up meanwhile.
const PATIENCE_OF_DEMO: Duration = Duration::from_mins(15);

/// What the product keeps its messages in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// One process on a file.
    Sqlite,
    /// Two processes that answer requests and two that work, on PostgreSQL.
    Postgres,
    /// The same with the queue on RabbitMQ.
    RabbitMq,
}

/// Processes of the product, and a demonstration that drives them.
#[derive(Debug)]
pub struct Demonstration {
    /// The processes, in the order they were started.
    pub members: Vec<Product>,
    demo: Option<Child>,
    ledger: PathBuf,
    // Kept as long as the processes.
    _servers: Servers,
}

/// What a provider needs beside the processes of the product; gone when it is dropped.
#[derive(Debug, Default)]
pub struct Servers {
    database: Option<TestDatabase>,
    broker: Option<RabbitMqServer>,
}

impl Servers {
    /// Starts what the provider needs, and answers how a process of the product uses it.
    pub async fn start(provider: Provider) -> (Self, Setup) {
        let mut servers = Self::default();
        // Only warnings, so that writing the log is not what it spends its time with.
        let mut setup = Setup::default()
            .set("AFTERCOMMIT_LOG__FILTER", "warn,sqlx_core=error,lapin=off")
            // Three in a row happen to a task by chance where processes are killed every second.
            .set("AFTERCOMMIT_WORKER__MAX_LOST_RUNS", "10");
        // So that what waits for records to be quiet happens while processes end, and not after it.
        for (key, value) in [
            ("RECORD_QUIET", "1s"),
            ("RECORD_MAX_WAIT", "3s"),
            ("SEARCH_REFRESH", "2s"),
            ("OVERAGE_REPORT", "2s"),
            ("INCLUDED_RECORDS", "50"),
        ] {
            setup = setup.set(&format!("AFTERCOMMIT_REFERENCE__{key}"), value);
        }
        if provider != Provider::Sqlite {
            let database = PostgresServer::shared().await.database(None).await;
            setup = setup
                .set("DATABASE_URL", &database.url())
                .set("AFTERCOMMIT_SEALING__KEYS", SEALING_KEYS);
            servers.database = Some(database);
        }
        if provider == Provider::RabbitMq {
            let broker = RabbitMqServer::start(RabbitMqOptions::default()).await;
            setup = setup.set("AMQP_URL", &broker.url());
            servers.broker = Some(broker);
        }
        (servers, setup)
    }
}

impl Demonstration {
    /// Starts the processes, and then a demonstration that makes `rate` requests per second until it is told to
    /// [`conclude`](Self::conclude).
    pub async fn begin(provider: Provider, rate: u32, seed: u64) -> Self {
        let (servers, setup) = Servers::start(provider).await;
        let mut members = Vec::new();
        if provider == Provider::Sqlite {
            members.push(Product::start(at_one_address(setup)).await);
        } else {
            for _ in 0..2 {
                members.push(Product::start_program(Program::Api, at_one_address(setup.clone())).await);
            }
            for _ in 0..2 {
                members.push(Product::start_program(Program::Workers, setup.clone()).await);
            }
        }
        Self::of(members, servers, rate, seed)
    }

    /// The same with one process on every provider, which does everything and passes failpoints. Answers its configuration
    /// too.
    pub async fn begin_alone(provider: Provider, rate: u32, seed: u64) -> (Self, Setup) {
        let (servers, setup) = Servers::start(provider).await;
        let setup = at_one_address(setup);
        let alone = Product::start_program(Program::WithFailpoints, setup.clone()).await;
        (Self::of(vec![alone], servers, rate, seed), setup)
    }

    fn of(members: Vec<Product>, servers: Servers, rate: u32, seed: u64) -> Self {
        let ledger = members[0].data().join("demo-ledger.jsonl");
        let mut demonstration = Self {
            members,
            demo: None,
            ledger,
            _servers: servers,
        };
        demonstration.drive(rate, seed);
        demonstration
    }

    fn drive(&mut self, rate: u32, seed: u64) {
        let (rate, seed) = (rate.to_string(), seed.to_string());
        let patience = format!("{}s", PATIENCE_OF_DEMO.as_secs());
        let mut arguments = ["demo", "--for", "1d", "--json", "--rate", &rate, "--seed", &seed]
            .map(str::to_owned)
            .to_vec();
        arguments.extend(["--patience".into(), patience]);
        arguments.extend(["--ledger".into(), self.ledger.to_str().unwrap().to_owned()]);
        let of = |program| self.members.iter().filter(move |member| member.program() == program);
        arguments.extend(of(Program::Api).flat_map(|api| ["--url".into(), api.api().url().to_owned()]));
        arguments.extend(of(Program::Workers).flat_map(|worker| {
            let mail = worker.data().join("mail");
            ["--mail".into(), mail.to_str().unwrap().to_owned()]
        }));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.demo = Some(self.members[0].cli_command(&arguments).spawn().unwrap());
    }

    /// How many requests were answered.
    pub fn answered(&self) -> usize {
        let text = fs::read_to_string(&self.ledger).unwrap_or_default();
        text.lines()
            .filter(|line| line.contains("\"kind\":\"answer\"") && !line.contains("\"outcome\":\"unknown\""))
            .count()
    }

    /// Waits until this many more requests were answered.
    pub async fn goes_on(&self, more: usize) {
        let before = self.answered();
        eventually("requests are answered", PATIENCE, async || {
            (self.answered() >= before + more).then_some(())
        })
        .await;
    }

    /// Ends the requests, waits until the demonstration has followed all of them to their end, and answers what it found.
    ///
    /// # Panics
    /// It does not end.
    pub async fn conclude(&mut self) -> Value {
        let demo = self.demo.take().unwrap();
        let pid = Pid::from_raw(i32::try_from(demo.id().unwrap()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let ended = tokio::time::timeout(PATIENCE_OF_DEMO * 3, demo.wait_with_output()).await;
        found(&ended.unwrap().unwrap())
    }
}

/// Asserts that nothing is lost, doubled, stuck, out of order or dead.
///
/// # Panics
/// Something is.
pub fn assert_good(found: &Value) {
    assert!(found["good"] == true, "{found:#}");
    assert!(found["tasks"]["dead"].is_null(), "{found:#}");
    assert!(found["order"]["dispatches"].as_u64() > Some(0), "{found:#}");
    assert!(found["usage"]["batches"].as_u64() > Some(0), "{found:#}");
}

/// Asserts that records have settled, and that something followed from them, up to the e-mail of a notification.
///
/// # Panics
/// Nothing did.
pub fn assert_followed(found: &Value) {
    for followed in [
        "records_settled",
        "index_refreshes",
        "incidents_opened",
        "notification_emails",
    ] {
        assert!(found["followed"][followed].as_u64() > Some(0), "{followed}: {found:#}");
    }
}

/// What a demonstration found, in one line.
pub fn in_short(found: &Value) -> String {
    let count = |pointer: &str| found.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    format!(
        "{} requests ({} taken, {} refused, {} tries without an answer), {} events committed, {} relayed; tasks {}; lost {}, \
         ghosts and doubled {}, stuck {}, out of order {} of {} compared, usage of {} batches: {} missing, {} beyond; e-mails \
         {}, {} missing, {} addresses with more than asked for, {} notifications mailed twice; followed {}; raw duplicates {}, \
         retries {}",
        count("/requests/made"),
        count("/requests/taken"),
        count("/requests/refused"),
        count("/requests/tries_without_an_answer"),
        count("/events/committed"),
        count("/events/relayed"),
        found["tasks"],
        count("/lost/count"),
        count("/doubled/count"),
        count("/stuck/count"),
        count("/order/overtaking/count"),
        count("/order/compared"),
        count("/usage/batches"),
        count("/usage/missing/count"),
        count("/usage/beyond/count"),
        count("/emails/arrived"),
        count("/emails/missing"),
        found["emails"]["doubled"].as_object().map_or(0, serde_json::Map::len),
        found["emails"]["notifications_doubled"]
            .as_object()
            .map_or(0, serde_json::Map::len),
        found["followed"],
        count("/ended_again"),
        count("/retries"),
    )
}

fn found(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The next process is where the one before was, and nobody else is there in between.
fn at_one_address(setup: Setup) -> Setup {
    setup.set("HTTP_ADDR", &stable_address().to_string())
}
